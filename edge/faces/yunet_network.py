"""YuNet's network on ONNX Runtime, two to four times as fast on one core as OpenCV's own engine.

Pre- and postprocessing follow ``FaceDetectorYNImpl`` (OpenCV 4.x, modules/objdetect/src/face_detect.cpp), so
that the same picture gives the same boxes. That is zero padding on the right and bottom to a multiple of 32,
one candidate per cell of 8, 16 and 32 pixels, and non-maximum suppression on whole pixels.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Iterator
from itertools import repeat
from operator import itemgetter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import BundleError
from edge.system.checked_file import FileRefused, read_checked
from edge.system.ort_session import onnxruntime, session_options
from edge.system.wire_format import BYTES, VARINT, fields

_FIX = "run `emotion-edge fetch` to download face_detection_yunet_2023mar.onnx, or set detector.model"
_MOST_BYTES = 64_000_000  # the file has 233 kB

NMS_IOU = 0.3
TOP_K = 50  # candidates before suppression, enough for any scene that a board can handle

_STRIDES = (8, 16, 32)
_WIDTHS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}  # values per cell
_OUTPUTS = [f"{kind}_{stride}" for stride in _STRIDES for kind in _WIDTHS]
_DIVISOR = 32
_IMPLAUSIBLE = 100.0  # a box is two offsets in cells and two logarithms of sizes in cells, all of them small
# Path from a model to a dimension in field numbers of onnx.proto: graph; input, output or value_info; type;
# tensor_type; shape; dim.
_DIMENSIONS = ({7}, {11, 12, 13}, {2}, {1}, {2}, {1})
# Tag bytes of a number in a dimension: field 1, dim_value, and field 15, which does not exist.
_DIM_VALUE, _UNKNOWN = 1 << 3, 15 << 3


class YuNetNetwork:
    """YuNet 2023mar, or a file with the same twelve outputs, on one thread; for pictures of any size.

    Keeps candidates with a score of at least ``lowest`` (0..1). ``luma`` (256,3) is the BGR color for each
    gray level. Raises BundleError if ``model`` is missing, is another network, or does not have the hash
    ``sha256`` that is given; DependencyError without ONNX Runtime.
    """

    def __init__(self, model: Path, lowest: float, luma: npt.NDArray[np.uint8], sha256: str = "") -> None:
        content = _content(model, sha256)
        ort = onnxruntime()
        self._floor = lowest * lowest
        self._luma = [np.ascontiguousarray(shades, np.float32)[None] for shades in luma.T]
        self._shape = (0, 0)
        try:
            self._session = _session(ort, free_dimensions(content))
            self._input = self._session.get_inputs()[0].name
            self._check()
        except Exception as error:  # ONNX Runtime has one class per status and no common base
            reason = " ".join(str(error).split())[:120]
            raise BundleError(
                f"face detector {model} is not a YuNet for ONNX Runtime {ort.__version__} ({reason}); {_FIX}"
            ) from error

    def detect(self, image: npt.NDArray[Any]) -> list[list[float]]:
        """Faces in a uint8 picture, BGR (H,W,3) or luma (H,W): x, y, w, h, five points and score of each.

        In pixels, best first. The points are right and left eye, nose, right and left corner of the mouth.
        """
        self._fill(image)
        return _faces(self._run(), self._blob.shape[3], self._floor)

    def _run(self) -> list[Any]:
        return self._session.run(_OUTPUTS, {self._input: self._blob})

    def _fill(self, image: npt.NDArray[Any]) -> None:
        """Write the picture's three planes into the input; the padding stays zero."""
        height, width = shape = image.shape[:2]
        if shape != self._shape:
            padded = (-(-height // _DIVISOR) * _DIVISOR, -(-width // _DIVISOR) * _DIVISOR)
            self._blob = np.zeros((1, 3, *padded), np.float32)
            self._planes = list(self._blob[0, :, :height, :width])
            self._shape = shape
        # These calls take a third of the time of cv2.dnn.blobFromImage, and less for luma.
        if image.ndim == 2:
            for plane, shades in zip(self._planes, self._luma, strict=True):
                cv2.LUT(image, shades, plane)
        else:
            for plane, channel in zip(self._planes, cv2.split(image), strict=True):
                np.copyto(plane, channel)

    def _check(self) -> None:
        """Run the network once, because another network may load without an error and fail only here."""
        side = 2 * _DIVISOR
        self._fill(np.zeros((side, side, 3), np.uint8))
        shapes = [(1, (side // stride) ** 2, width) for stride in _STRIDES for width in _WIDTHS.values()]
        for name, output, shape in zip(_OUTPUTS, self._run(), shapes, strict=True):
            if output.shape != shape:
                raise ValueError(f"{name} is {output.shape}, expected {shape}")


def _content(model: Path, sha256: str) -> bytes:
    """The file's bytes; what is parsed is what was hashed. A file that the user named may be a link."""
    try:
        content = read_checked(model, _MOST_BYTES, follow=not sha256)
    except FileRefused as error:
        fault = error if os.path.lexists(model) else "is missing"
        raise BundleError(f"face detector {model} {fault}; {_FIX}") from error
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise BundleError(f"face detector {model} has changed since it was checked; {_FIX}")
    return content


def free_dimensions(model: bytes) -> bytes:
    """The ONNX file with dynamic input, output and intermediate sizes; ValueError if it is not ONNX.

    ONNX Runtime accepts any size for dimensions that have a name, but not for fixed ones such as YuNet's
    640x640. So each fixed number is moved to an unknown field, which leaves the size open: one byte changes,
    no length.
    """
    free = bytearray(model)
    for at in list(_fixed(model, 0, len(model), _DIMENSIONS)):
        free[at] = _UNKNOWN
    return bytes(free)


def _fixed(data: bytes, at: int, stop: int, path: tuple[set[int], ...]) -> Iterator[int]:
    """Offsets of the dim_value fields below the messages of ``path``; ValueError if it is no message."""
    for field in fields(data, at, stop):
        if not path and field.kind == VARINT and data[field.start] == _DIM_VALUE:
            yield field.start
        elif path and field.kind == BYTES and field.number in path[0]:
            yield from _fixed(data, field.at, field.stop, path[1:])


def _session(ort: Any, model: bytes) -> Any:
    options = session_options()
    # The arena would keep memory for the largest input so far, and is no faster.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _faces(outputs: list[Any], columns: int, floor: float) -> list[list[float]]:
    # For a handful of candidates, Python numbers take half the time of arrays.
    cells = _best_cells(outputs, floor)
    boxes = [_box(values, _STRIDES[level], cell, columns) for _, level, cell, values in cells]
    rows = []
    for index in _distinct(boxes, [score for score, *_ in cells]):
        score, level, cell, _ = cells[index]
        points = outputs[level * len(_WIDTHS) + 3][0, cell].tolist()
        rows.append([*boxes[index], *_points(points, _STRIDES[level], cell, columns), score])
    return rows


def _best_cells(outputs: list[Any], floor: float) -> list[tuple[float, int, int, list[float]]]:
    """Score, stride index, cell and box values of each candidate with a sufficient score, best first."""
    candidates: list[tuple[float, int, int, list[float]]] = []
    for level in range(len(_STRIDES)):
        classes, objects, boxes = outputs[level * len(_WIDTHS) :][:3]
        squares = (classes * objects).ravel()  # squared scores; avoids thousands of square roots
        hot = (squares >= floor).nonzero()[0]
        if hot.size:
            scores = map(math.sqrt, squares[hot].tolist())
            candidates += zip(scores, repeat(level), hot.tolist(), boxes[0, hot].tolist(), strict=False)
    candidates = [c for c in candidates if sum(map(abs, c[3])) < _IMPLAUSIBLE]  # also drops NaN
    candidates.sort(key=itemgetter(0), reverse=True)
    return candidates[:TOP_K]


def _box(values: list[float], stride: int, cell: int, columns: int) -> tuple[float, float, float, float]:
    row, column = divmod(cell, columns // stride)
    x, y, width, height = values
    width, height = math.exp(width) * stride, math.exp(height) * stride
    return (column + x) * stride - width / 2, (row + y) * stride - height / 2, width, height


def _points(values: list[float], stride: int, cell: int, columns: int) -> list[float]:
    row, column = divmod(cell, columns // stride)
    return [(value + at) * stride for value, at in zip(values, (column, row) * 5, strict=True)]


def _distinct(boxes: list[tuple[float, float, float, float]], scores: list[float]) -> Iterable[int]:
    """Indices of the boxes that remain after non-maximum suppression, best first."""
    if len(boxes) < 2:
        return range(len(boxes))
    whole = [tuple(map(int, box)) for box in boxes]
    indices = cv2.dnn.NMSBoxes(whole, scores, 0.0, NMS_IOU)
    return np.asarray(indices, np.intp).ravel().tolist()  # a column before OpenCV 4.5.4
