"""Decoded frames of PyAV as frames of the pipeline."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edge.data import Frame

UInt8 = npt.NDArray[np.uint8]

# FFmpeg's names of formats whose first plane is luma of 8 bits.
_SUBSAMPLINGS = ("410p", "411p", "420p", "422p", "440p", "444p")
_LUMA = {
    *(f"yuv{how}" for how in _SUBSAMPLINGS),
    *(f"yuvj{how}" for how in _SUBSAMPLINGS),
    *("yuva420p", "yuva422p", "yuva444p", "gray", "nv12", "nv16", "nv21", "nv24", "nv42"),
}
_LIMITED, _FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG


class Pictures:
    """Makes frames: luma, unless ``color`` asks for BGR; with a BGR picture beside it if ``draw``."""

    def __init__(self, color: bool, draw: bool) -> None:
        self._color, self._draw = color, draw

    def frame(self, decoded: Any, timestamp_s: float, index: int) -> Frame:
        """The frame of a ``VideoFrame``; its luma is a view that keeps the decoder's picture alive."""
        luma = None if self._color else luma_of(decoded)
        if luma is None:
            return Frame(_bgr(decoded), timestamp_s, index)
        drawn = _bgr(decoded) if self._draw else None
        return Frame(luma, timestamp_s, index, range_of(decoded), drawn)


def luma_of(decoded: Any) -> UInt8 | None:
    """Luma (H,W) of a ``VideoFrame``, without a copy; None if its format has none of 8 bits."""
    if decoded.format.name not in _LUMA:
        return None
    plane = decoded.planes[0]
    row = plane.line_size  # bytes; below 0 if the picture is stored bottom up
    if row < decoded.width:
        return None
    rows = np.frombuffer(plane, np.uint8)[: row * decoded.height].reshape(decoded.height, row)
    return rows[:, : decoded.width]


def range_of(decoded: Any) -> Literal["full", "limited"]:
    """The range of the luma; video is limited unless it says otherwise, gray is full."""
    said = getattr(decoded, "color_range", None)  # PyAV 10 does not tell; its decoders have yuvj for full
    name = decoded.format.name
    if name.startswith("yuvj") or said == _FULL:
        return "full"
    return "full" if name == "gray" and said != _LIMITED else "limited"


def _bgr(decoded: Any) -> UInt8:
    """BGR (H,W,3), as players show it: a transparent pixel has its color."""
    return np.asarray(decoded.to_ndarray(format="bgr24"), np.uint8)
