"""Detects bad frames from a faulty camera, so that no estimate is made from them.

All checks sample every 8th pixel, or fewer of a large picture, and so cost tens of microseconds per frame. A
fault that is present from the first frame (letterbox bars), or that persists in the same place, counts as
part of the scene.
"""

from __future__ import annotations

import zlib

import cv2
import numpy as np
import numpy.typing as npt

from edge.capture.reconnect.timeouts import Timeouts
from edge.data import Frame

STRIDE = 8  # minimum distance of sampled pixels
LINES = 60  # sampled lines, approximately: 480 / STRIDE; more add no information
BLACK = 16  # limited-range black; sensors without light stay below
FLAT = 2.0  # maximum contrast of a picture without content, in gray levels
MISSING = 0.08  # of the height; fewer missing lines do not affect a face
JUMP = 25.0  # gray levels between two lines, over the whole width, at the seam of two pictures
BELIEVED = 12  # consecutive frames with another size, border or seam before it counts as the scene
Lines = npt.NDArray[np.uint8]
Steps = npt.NDArray[np.uint8]


class BadFrames:
    """Checks the frames of one camera, which must be passed in order."""

    def __init__(self, frozen_s: float = Timeouts.frozen_s) -> None:
        self._frozen_s = frozen_s
        self._last: Steps | None = None  # of the last good frame; None before the first of its size
        self._shape: tuple[int, ...] = ()
        self._border = 0  # lines without content at the bottom of this scene
        self._odd_shapes = self._tears = 0  # consecutive frames
        self._checksum, self._since_s = -1, 0.0

    def fault(self, frame: Frame) -> str | None:
        """One of malformed, wrong size, black, blank, frozen, torn; None for a good frame."""
        image = frame.image
        if not _is_picture(image):
            return "malformed"
        if self._is_other_size(image.shape):
            return "wrong size"
        lines = _lines(image)
        return _black_or_blank(lines) or self._frozen(lines, frame.timestamp_s) or self._torn(lines)

    def _is_other_size(self, shape: tuple[int, ...]) -> bool:
        self._odd_shapes = self._odd_shapes + 1 if shape != self._shape else 0
        if not self._shape or self._odd_shapes > BELIEVED:
            self._shape, self._last, self._odd_shapes = shape, None, 0
        return self._odd_shapes > 0

    def _frozen(self, lines: Lines, now_s: float) -> str | None:
        checksum = zlib.crc32(lines.data)
        if checksum != self._checksum or now_s < self._since_s:
            self._checksum, self._since_s = checksum, now_s
        return "frozen" if now_s - self._since_s >= self._frozen_s else None

    def _torn(self, lines: Lines) -> str | None:
        """Check for missing lines, or a seam between two pictures, that the last good frame did not have."""
        steps, border = _steps(lines), _border(lines)
        missing = border - self._border >= max(MISSING * len(lines), 2)
        torn = self._last is not None and (missing or _seam(steps, self._last))
        self._tears = self._tears + 1 if torn else 0
        if 0 < self._tears <= BELIEVED:
            return "torn"  # and not the reference for the next one, which may be torn in the same place
        self._last, self._border, self._tears = steps, border, 0
        return None


def is_empty(image: npt.NDArray[np.uint8]) -> bool:
    """Whether a picture, uint8 (H,W) or (H,W,3), is black or blank; needs no frame before it."""
    return _black_or_blank(_lines(image, 2)) is not None  # a quarter of the pixels, in a third of the time


def _lines(image: npt.NDArray[np.uint8], apart: int = 1) -> Lines:
    luma = image if image.ndim == 2 else image[..., 1]  # green is close enough
    stride = max(STRIDE, luma.shape[0] // LINES) * apart
    return np.ascontiguousarray(luma[::stride, ::stride])


def _black_or_blank(lines: Lines) -> str | None:
    low, high = int(lines.min()), int(lines.max())
    if high <= BLACK:
        return "black"
    return "blank" if high - low <= FLAT else None


def _is_picture(image: npt.NDArray[np.uint8]) -> bool:
    """Whether it is uint8 (H,W) or (H,W,3), at least 16 x 16 pixels; anything else breaks later code."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        return False
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        return False
    return min(image.shape[:2]) >= 16


def _border(lines: Lines) -> int:
    """Number of lines at the bottom in one uniform gray, with which decoders fill in for missing data."""
    if (lines[-1] != lines[-1, 0]).any():  # nearly always, so this skips the rest
        return 0
    uniform = (lines == lines[-1, 0]).all(axis=1)
    return len(lines) if uniform.all() else int(uniform[::-1].argmin())


def _steps(lines: Lines) -> Steps:
    """Median difference between each line and the next, in gray levels."""
    steps = cv2.absdiff(lines[1:], lines[:-1])
    half = steps.shape[1] // 2
    steps.partition(half, axis=1)  # the median; for an even number of pixels the upper one
    return steps[:, half]


def _seam(now: Steps, old: Steps) -> bool:
    """Whether two lines differ over the whole width, unlike the lines nearby in the previous good frame."""
    at = int(now.argmax())
    if now[at] <= JUMP:
        return False
    usual = max(int(old[max(at - 2, 0) : at + 3].max()), float(np.median(now)), 1.0)
    return bool(now[at] > 4 * usual)
