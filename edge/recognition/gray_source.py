"""Tells once that a network that was trained on color is fed by a source without color."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from edge.data import Frame

log = logging.getLogger("edge")
_STRIDE = 8  # pixels; faces are larger
_SAME = 6  # largest difference of two channels without color: rounding and lossy codecs leave up to 3
_CONTRAST = 24  # levels; a picture with less, such as a black one, does not show whether there is color


class GrayNotice:
    """Looks at the frames until one of them shows whether there is color."""

    def __init__(self, network: str) -> None:
        self._network, self._decided = network, False

    def look(self, frame: Frame) -> None:
        """Log one line at the first frame that shows the source to be gray."""
        if self._decided or (gray := is_gray(frame)) is None:
            return
        self._decided = True
        if gray:
            log.warning(
                "the source gives gray only; the network %s was trained on color, its answers may be worse",
                self._network,
            )


def is_gray(frame: Frame) -> bool | None:
    """Whether the frame has no color; None if it is too flat to tell."""
    if frame.image.ndim == 2:
        return True
    pixels = frame.image[::_STRIDE, ::_STRIDE]
    if has_color(pixels):
        return False
    return None if int(np.ptp(pixels)) < _CONTRAST else True


def has_color(pixels: npt.NDArray[np.uint8]) -> bool:
    """Whether any of the pixels (...,3) is another color than gray."""
    return bool((np.ptp(pixels, axis=-1) > _SAME).any())
