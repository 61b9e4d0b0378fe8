"""Eight orientations of a picture: turned by quarters, mirrored or both."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import Frame
from edge.errors import ConfigError

UInt8 = npt.NDArray[np.uint8]


class Orientation(NamedTuple):
    """What makes a stored picture upright: first rows become columns, then it is flipped."""

    transposed: bool = False  # pixel (x, y) goes to (y, x)
    flip_x: bool = False  # then left and right are exchanged
    flip_y: bool = False  # and top and bottom

    def turn(self, image: UInt8) -> UInt8:
        """``image`` (H,W) or (H,W,3) turned; the same array if it is upright, else a contiguous copy."""
        if self.transposed:
            image = np.asarray(cv2.transpose(image), np.uint8)
        if self.flip_x or self.flip_y:
            how = -1 if self.flip_x and self.flip_y else int(self.flip_x)
            image = np.asarray(cv2.flip(image, how), np.uint8)
        return image

    def turn_frame(self, frame: Frame) -> Frame:
        """``frame`` with its image, and the picture to draw on, turned."""
        if self == UPRIGHT:
            return frame
        drawn = None if frame.drawn is None else self.turn(frame.drawn)
        return replace(frame, image=self.turn(frame.image), drawn=drawn)


UPRIGHT = Orientation()


def from_matrix(matrix: bytes) -> Orientation:
    """The orientation nearest to a display matrix: 9 numbers of 32 bits, as ``AV_FRAME_DATA_DISPLAYMATRIX``.

    Its columns tell where the axes go: x' = a x + c y, y' = b x + d y (ISO 14496-12, 6.2.2).
    A matrix of another length, or all zeros, means upright.
    """
    if len(matrix) != 36:
        return UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, c < 0, b < 0)
    return Orientation(False, a < 0, d < 0)


def chosen(rotate: int, mirror: bool) -> Orientation:
    """Clockwise by ``rotate`` (0, 90, 180 or 270 degrees), then mirrored left to right if ``mirror``.

    Raises ConfigError for another angle.
    """
    if rotate % 90:
        raise ConfigError(f"source.rotate is {rotate}, expected 0, 90, 180 or 270 degrees")
    transposed = rotate in (90, 270)
    return Orientation(transposed, (rotate in (90, 180)) != mirror, rotate in (180, 270))
