"""A bundle whose answer is the brightest channel of the face: ``first``, ``second`` or ``third``.

It has no state. What a face of one color is called shows which channel reached which place.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tiny
from onnx import TensorProto, helper, numpy_helper

from edge.capture.demo import DemoSource
from edge.data import Face, Frame, Track
from edge.recognition.face_check import NO_CHECK
from edge.session import Parts

LABELS = ["first", "second", "third"]
BLUE, RED = (1.0, 0.6, 0.35), (0.35, 0.6, 1.0)  # gains of blue, green, red


def model() -> bytes:
    """logits = 20 * the mean of each channel of face[N,3,8,8]."""
    nodes = [
        helper.make_node("ReduceMean", ["face", "axes"], ["means"], keepdims=0),
        helper.make_node("Mul", ["means", "twenty"], ["logits"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([2, 3], np.int64), "axes"),
        numpy_helper.from_array(np.array(20, np.float32), "twenty"),
    ]
    face = helper.make_tensor_value_info("face", TensorProto.FLOAT, ["N", 3, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])
    graph = helper.make_graph(nodes, "hue", [face], [logits], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return made.SerializeToString()


def write(folder: Path, normalization: str = "unit", **face: Any) -> Path:
    """Write the bundle into ``folder`` and return it; ``face`` changes the manifest's input."""
    given = {**tiny.manifest()["input"], "channels": 3, "normalization": normalization, **face}
    return tiny.write(folder, model(), name="hue", labels=LABELS, state=[], input=given)


@cache
def scene(gains: tuple[float, float, float] | None) -> np.ndarray:
    """A person's photograph (480,640,3) BGR in one color; None: luma alone (480,640)."""
    frames = DemoSource().frames()
    image = next(frame.image for frame in frames if frame.timestamp_s >= 3.0)
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return gray if gains is None else np.round(gray[..., None] * np.array(gains)).astype(np.uint8)


def middle(frame: Frame) -> Face:
    """A face in the middle of ``frame``."""
    height, width = frame.image.shape[:2]
    side = min(height, width) / 2
    left, top = (width - side) / 2, (height - side) / 2
    return Face(np.array([left, top, left + side, top + side], np.float32))


def answer(parts: Parts, frame: Frame) -> str:
    """What the network of ``parts`` says of the middle of ``frame``."""
    recognizer = parts.new_recognizer()
    recognizer._check = NO_CHECK  # plain color is no face
    (estimate,) = recognizer.update(frame, [Track(1, middle(frame))])
    return estimate.labels[int(estimate.probabilities.argmax())]
