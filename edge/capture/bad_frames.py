"""Frames that a broken camera gives: they are named and no estimate is made from them.

All checks look at every 8th pixel of a copy-free view, so that they cost some microseconds a frame. A fault
that began with the first frame (black bars of a letterboxed picture) is the scene, not a fault.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from edge.data import Frame

STRIDE = 8  # pixels from one that is looked at to the next
BLACK = 16  # limited-range black; sensors without light stay below
FLAT = 2.0  # grey levels between the darkest and the brightest pixel of a picture that shows nothing
FROZEN_S = 2.0  # a sensor's noise never repeats for so long
MISSING = 0.08  # of the height: fewer lost lines do no harm to a face
JUMP = 25.0  # grey levels from one line to the next, over the whole width, where two pictures meet
BELIEVED = 12  # frames in a row with another size or frame border before it is taken for the scene
Lines = npt.NDArray[np.int16]
Steps = npt.NDArray[np.float64]


class BadFrames:
    """Tells what is wrong with each frame of one camera, in their order."""

    def __init__(self) -> None:
        self._last: Steps | None = None  # of the frame before; None for the first of its size
        self._shape: tuple[int, ...] = ()
        self._border = 0  # lines without content at the lower edge of this scene
        self._odd_shapes = self._odd_borders = 0
        self._sum, self._since_s = -1, 0.0

    def fault(self, frame: Frame) -> str | None:
        """One of malformed, wrong size, black, blank, frozen, torn; None for a good frame."""
        image = frame.image
        if not _is_picture(image):
            return "malformed"
        if self._is_other_size(image.shape):
            return "wrong size"
        luma = image if image.ndim == 2 else image[..., 1]  # green is near enough
        lines = luma[::STRIDE, ::STRIDE].astype(np.int16)
        steps = _steps(lines)
        fault = (
            self._black_or_blank(lines) or self._frozen(lines, frame.timestamp_s) or self._torn(lines, steps)
        )
        self._last = steps
        return fault

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
        found = zlib.crc32(lines.tobytes())
        if found != self._sum or now_s < self._since_s:
            self._sum, self._since_s = found, now_s
        return "frozen" if now_s - self._since_s >= FROZEN_S else None

    def _torn(self, lines: Lines, steps: Steps) -> str | None:
        """Lines that lack their content, or a seam between two pictures, where the frame before had none."""
        border = _border(lines)
        more = border - self._border >= max(MISSING * len(lines), 2)
        self._odd_borders = self._odd_borders + 1 if more else 0
        if not more or self._last is None or self._odd_borders > BELIEVED:
            self._border, self._odd_borders = border, 0
        if self._odd_borders:
            return "torn"
        return "torn" if self._last is not None and _seam(steps, self._last) else None


def _is_picture(image: npt.NDArray[np.uint8]) -> bool:
    """uint8 (H,W) or (H,W,3), at least 16 pixels each way; anything else breaks code further on."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        return False
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        return False
    return min(image.shape[:2]) >= 16


def _border(lines: Lines) -> int:
    """How many of the last lines are one and the same even grey: what decoders put where data is missing."""
    even = (lines == lines[-1, 0]).all(axis=1)
    rows = np.flatnonzero(~even)
    return len(lines) - 1 - int(rows[-1]) if len(rows) else len(lines)


def _steps(lines: Lines) -> Steps:
    """How much each line differs from the next over at least half of the width, in grey levels."""
    steps: Steps = np.median(np.abs(np.diff(lines, axis=0)), axis=1)
    return steps


def _seam(now: Steps, old: Steps) -> bool:
    """Whether two lines differ over the whole width, which no lines near by did in the frame before."""
    at = int(now.argmax())
    calm = max(float(old[max(at - 2, 0) : at + 3].max()), float(np.median(now)), 1.0)
    return bool(now[at] > JUMP and now[at] > 4 * calm)
