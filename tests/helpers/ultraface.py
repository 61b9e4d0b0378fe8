"""UltraFace "slim" (Linzaer, 2019): a second detector, to compare ours with."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort


class UltraFace:
    """The ONNX file for 320x240."""

    def __init__(self, model: Path) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        self._session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def largest(self, image: np.ndarray) -> np.ndarray:
        """The box (4,) x0, y0, x1, y1 in pixels with the highest score, of a BGR picture."""
        small = cv2.cvtColor(cv2.resize(image, (320, 240)), cv2.COLOR_BGR2RGB).astype(np.float32)
        feed = {self._session.get_inputs()[0].name: ((small - 127) / 128).transpose(2, 0, 1)[None]}
        scores, boxes = self._session.run(None, feed)
        height, width = image.shape[:2]
        return boxes[0, scores[0, :, 1].argmax()] * [width, height, width, height]
