"""Frames that a broken camera gives: they are named and no estimate is made from them.

All checks look at every 8th pixel, or fewer of a large picture, so that they cost tens of microseconds a
frame. A fault that began with the first frame (black bars of a letterboxed picture), or that lasts in the
same place, is the scene and no fault.
"""

from __future__ import annotations

import zlib

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import Frame

STRIDE = 8  # pixels from one that is looked at to the next, at least
LINES = 60  # that are looked at, about: 480 / STRIDE; more tell nothing more
BLACK = 16  # limited-range black; sensors without light stay below
FLAT = 2.0  # gray levels between the darkest and the brightest pixel of a picture that shows nothing
FROZEN_S = 2.0  # a sensor's noise never repeats for so long
MISSING = 0.08  # of the height: fewer lost lines do no harm to a face
JUMP = 25.0  # gray levels from one line to the next, over the whole width, where two pictures meet
BELIEVED = 12  # frames in a row with another size, border or seam before it is taken for the scene
Lines = npt.NDArray[np.uint8]
Steps = npt.NDArray[np.uint8]


class BadFrames:
    """Tells what is wrong with each frame of one camera, in their order."""

    def __init__(self) -> None:
        self._last: Steps | None = None  # of the last good frame; None before the first of its size
        self._shape: tuple[int, ...] = ()
        self._border = 0  # lines without content at the lower edge of this scene
        self._odd_shapes = self._tears = 0  # frames in a row
        self._sum, self._since_s = -1, 0.0

    def fault(self, frame: Frame) -> str | None:
        """One of malformed, wrong size, black, blank, frozen, torn; None for a good frame."""
        image = frame.image
        if not _is_picture(image):
            return "malformed"
        if self._is_other_size(image.shape):
            return "wrong size"
        luma = image if image.ndim == 2 else image[..., 1]  # green is near enough
        stride = max(STRIDE, luma.shape[0] // LINES)
        lines = np.ascontiguousarray(luma[::stride, ::stride])
        return self._black_or_blank(lines) or self._frozen(lines, frame.timestamp_s) or self._torn(lines)

    def _is_other_size(self, shape: tuple[int, ...]) -> bool:
        self._odd_shapes = self._odd_shapes + 1 if shape != self._shape else 0
        if not self._shape or self._odd_shapes > BELIEVED:
            self._shape, self._last, self._odd_shapes = shape, None, 0
        return self._odd_shapes > 0

    def _black_or_blank(self, lines: Lines) -> str | None:
        low, high = int(lines.min()), int(lines.max())
        if high <= BLACK:
            return "black"
        return "blank" if high - low <= FLAT else None

    def _frozen(self, lines: Lines, now_s: float) -> str | None:
        found = zlib.crc32(lines.data)
        if found != self._sum or now_s < self._since_s:
            self._sum, self._since_s = found, now_s
        return "frozen" if now_s - self._since_s >= FROZEN_S else None

    def _torn(self, lines: Lines) -> str | None:
        """Lines that lack content, or a seam between two pictures, where the last good frame had none."""
        steps, border = _steps(lines), _border(lines)
        more = border - self._border >= max(MISSING * len(lines), 2)
        torn = self._last is not None and (more or _seam(steps, self._last))
        self._tears = self._tears + 1 if torn else 0
        if 0 < self._tears <= BELIEVED:
            return "torn"  # and no measure for the next one, which may be torn in the same place
        self._last, self._border, self._tears = steps, border, 0
        return None


def _is_picture(image: npt.NDArray[np.uint8]) -> bool:
    """uint8 (H,W) or (H,W,3), at least 16 pixels each way; anything else breaks code further on."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        return False
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        return False
    return min(image.shape[:2]) >= 16


def _border(lines: Lines) -> int:
    """How many of the last lines are one and the same even gray: what decoders put where data is missing."""
    if (lines[-1] != lines[-1, 0]).any():  # nearly always: the rest is spared
        return 0
    even = (lines == lines[-1, 0]).all(axis=1)
    return len(lines) if even.all() else int(even[::-1].argmin())


def _steps(lines: Lines) -> Steps:
    """How much each line differs from the next over at least half of the width, in gray levels."""
    steps = cv2.absdiff(lines[1:], lines[:-1])
    half = steps.shape[1] // 2
    steps.partition(half, axis=1)  # the median, of an even number the upper one
    return steps[:, half]


def _seam(now: Steps, old: Steps) -> bool:
    """Whether two lines differ over the whole width, which no lines near by did in the frame before."""
    at = int(now.argmax())
    if now[at] <= JUMP:
        return False
    calm = max(int(old[max(at - 2, 0) : at + 3].max()), float(np.median(now)), 1.0)
    return bool(now[at] > 4 * calm)
