"""YuNet's network on ONNX Runtime, two to four times as fast on one core as OpenCV's own engine.

Pre- and postprocessing follow ``FaceDetectorYNImpl`` (OpenCV 4.x, modules/objdetect/src/face_detect.cpp), so
that the same picture gives the same boxes: here zero padding on the right and bottom to a multiple of 32.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import BundleError
from edge.faces import yunet_cells
from edge.faces.joined_heads import joined
from edge.faces.yunet_cells import STRIDES, WIDTHS
from edge.system.checked_file import FileRefused, read_checked
from edge.system.ort_session import onnxruntime, session_options
from edge.system.wire_format import BYTES, VARINT, fields

_FIX = "run `emotion-edge fetch` to download face_detection_yunet_2023mar.onnx, or set detector.model"
_MOST_BYTES = 64_000_000  # the file has 233 kB

_OUTPUTS = [f"{kind}_{stride}" for stride in STRIDES for kind in WIDTHS]
_DIVISOR = 32
_ARENA_WIDTH = 640  # pixels
# Path from a model to a dimension in field numbers of onnx.proto: graph; input, output or value_info; type;
# tensor_type; shape; dim.
_DIMENSIONS = ({7}, {11, 12, 13}, {2}, {1}, {2}, {1})
# Tag bytes of a number in a dimension: field 1, dim_value, and field 15, which does not exist.
_DIM_VALUE, _UNKNOWN = 1 << 3, 15 << 3


class YuNetNetwork:
    """YuNet 2023mar, or a file with the same twelve outputs, on one thread; for pictures of any size.

    Keeps candidates with a score of at least ``lowest`` (0..1). ``luma`` (256,3) is the BGR color for each
    gray level. Pictures have at most ``width`` pixels a row. Raises BundleError if ``model`` is missing, is
    another network, or does not have the hash ``sha256`` that is given; DependencyError without ONNX Runtime.
    """

    def __init__(
        self,
        model: Path,
        lowest: float,
        luma: npt.NDArray[np.uint8],
        sha256: str = "",
        width: int = _ARENA_WIDTH,
    ) -> None:
        content = _content(model, sha256)
        ort = onnxruntime()
        self._floor = lowest * lowest
        self._luma = [np.ascontiguousarray(shades, np.float32)[None] for shades in luma.T]
        self._shape = (0, 0)
        try:
            free = free_dimensions(content)
            joint = joined(free, [{f"{kind}_{at}": size for kind, size in WIDTHS.items()} for at in STRIDES])
            self._joint = joint is not None
            self._session = _session(ort, joint or free, arena=width <= _ARENA_WIDTH)
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
        return self._detect(image, self._floor)

    def propose(self, image: npt.NDArray[Any], lowest: float) -> list[list[float]]:
        """The same down to the score ``lowest`` (0..1)."""
        return self._detect(image, lowest * lowest)

    def _detect(self, image: npt.NDArray[Any], floor: float) -> list[list[float]]:
        self._fill(image)
        cells = yunet_cells.of_joint_heads if self._joint else yunet_cells.of_heads
        return yunet_cells.faces(cells(self._run(), floor), self._blob.shape[3])

    def _run(self) -> list[Any]:
        return self._session.run(None if self._joint else _OUTPUTS, {self._input: self._blob})

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
        expected: list[tuple[int, ...]]
        if self._joint:
            expected = [(1, sum(WIDTHS.values()), side // stride, side // stride) for stride in STRIDES]
        else:
            expected = [(1, (side // at) ** 2, width) for at in STRIDES for width in WIDTHS.values()]
        names = [output.name for output in self._session.get_outputs()] if self._joint else _OUTPUTS
        for name, output, shape in zip(names, self._run(), expected, strict=True):
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


def _session(ort: Any, model: bytes, arena: bool) -> Any:
    options = session_options()
    # The arena saves a third of the time, which went into fresh pages. It keeps the memory of the largest
    # input so far: up to 640 pixels less than what malloc keeps, but 100 MB and more for very wide ones.
    options.enable_cpu_mem_arena, options.enable_mem_pattern = arena, False
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
