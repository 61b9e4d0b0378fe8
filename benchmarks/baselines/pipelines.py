"""Face detector plus emotion network, as users of these libraries write it, on one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.baselines.networks import session
from edge.errors import BundleError, ConfigError, EdgeError, reason
from edge.faces.haar import load_cascade

INTERVAL, PEER_WIDTH = 5, 320  # frames between detections; pixels
UInt8 = np.typing.NDArray[np.uint8]


def with_faces(
    peer: Path | None, detector: Path | None, pictures: Sequence[UInt8], notes: list[str]
) -> dict[str, Callable[[], int]]:
    """Haar and YuNet in OpenCV with mini-XCEPTION, detecting in each frame or at our interval.

    Each call processes one frame and returns the number of its faces.
    """
    if peer is None:
        notes.append("mini-XCEPTION is left out: pass --peer ONNX")
        return {}
    network = MiniXception(peer)
    detectors: dict[str, Callable[[UInt8], Sequence[Any]]] = {"Haar": Haar()}
    if detector is None:
        notes.append("YuNet + mini-XCEPTION is left out: pass --detector ONNX")
    else:
        height, width = pictures[0].shape[:2]
        detectors[f"YuNet {PEER_WIDTH}"] = YuNet(detector, width, height)
    work = {}
    for name, detect in detectors.items():
        work[f"{name} + mini-XCEPTION"] = step(detect, network, pictures, 1)
        work[f"{name} + mini-XCEPTION, every {INTERVAL} frames"] = step(detect, network, pictures, INTERVAL)
    return work


def step(
    detect: Callable[[UInt8], Sequence[Any]],
    network: Callable[[UInt8, Any], object],
    pictures: Sequence[UInt8],
    every: int,
) -> Callable[[], int]:
    """One frame per call: detect in every ``every``-th frame, classify each face in every frame."""
    source: Iterator[UInt8] = cycle([*pictures, *reversed(pictures)])
    boxes: Sequence[Any] = []
    count = 0

    def call() -> int:
        nonlocal boxes, count
        picture = next(source)
        if count % every == 0:
            boxes = detect(picture)
        count += 1
        for box in boxes:
            network(picture, box)
        return len(boxes)

    return call


class Haar:
    """OpenCV's frontal cascade as its tutorial calls it."""

    def __init__(self) -> None:
        self._cascade = load_cascade("haarcascade_frontalface_default.xml")

    def __call__(self, picture: UInt8) -> Any:
        gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        return self._cascade.detectMultiScale(gray, scaleFactor=1.1, minNeighbors=5)


class YuNet:
    """YuNet in OpenCV, on the frame scaled to PEER_WIDTH."""

    def __init__(self, model: Path, width: int, height: int) -> None:
        self._scale = PEER_WIDTH / width
        self._size = PEER_WIDTH, round(height * self._scale)
        try:
            self._network = cv2.FaceDetectorYN.create(str(model), "", self._size, 0.7)
        except cv2.error as error:
            raise BundleError(
                f"{model} is not a YuNet file that OpenCV can read; run `emotion-edge fetch`"
            ) from error

    def __call__(self, picture: UInt8) -> Any:
        rows = self._network.detect(cv2.resize(picture, self._size))[1]
        return [] if rows is None else rows[:, :4] / self._scale


class MiniXception:
    """Arriaga et al., "Real-time Convolutional Neural Networks for Emotion and Gender ..." (2017)."""

    def __init__(self, model: Path) -> None:
        if not model.is_file():
            raise ConfigError(f"--peer {model} is no file; give the ONNX file of mini-XCEPTION")
        try:
            self._session = session(str(model))
        except EdgeError:
            raise
        except Exception as error:  # ONNX Runtime has a class per status and no common base
            raise BundleError(f"--peer {model} does not run ({reason(error)}); give another one") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or list(inputs[0].shape[1:]) != [1, 64, 64]:
            shapes = ", ".join(str(tensor.shape) for tensor in inputs)
            raise ConfigError(f"--peer takes (N,1,64,64) faces; {model.name} takes {shapes}")
        self._name = inputs[0].name

    def __call__(self, picture: UInt8, box: Any) -> Any:
        x, y, width, height = (max(int(v), 0) for v in box)
        face = picture[y : y + height, x : x + width]
        if not face.size:
            return None
        small = cv2.resize(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY), (64, 64)).astype(np.float32)
        return self._session.run(None, {self._name: (small / 127.5 - 1.0)[None, None]})[0]
