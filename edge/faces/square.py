"""The face square: one framing of a face for every detector, and the way to it from anybody's box.

It is the frame of a FER2013 still, the pictures the reference model learns from: on an upright frontal face
the midpoint of the eyes lies at (0.49, 0.39) of the side, the eyes are 0.36 of the side apart and the mouth
corners lie at 0.74 (medians of YuNet over 1,414 stills). The square is upright in the frame and may reach
beyond it. Coordinates are continuous: pixel i covers i..i+1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from edge.data import Float32

MAX_ROLL = math.radians(45)  # beyond this the landmarks are more often wrong than the head is tilted
MIN_EYE_DISTANCE = 0.1  # of the side; nearer eyes are a profile, and their line tells no roll
LANDMARKS_BELOW_CENTER = 0.076  # of the side: where the mean of the five landmarks lies


class Convention(NamedTuple):
    """A detector's box in terms of the face square, measured on frontal faces."""

    side: float  # of the square / sqrt(width * height of the box)
    down: float  # from the center of the box to that of the square / side of the square


# YuNet: medians of 1,500 FER2013 stills. Haar alt2: against YuNet on frames of eight clips.
CONVENTIONS = {"yunet": Convention(1.15, 0.0), "haar": Convention(1.10, 0.01 / 1.10)}


def square(center_x: float, center_y: float, side: float) -> Float32:
    """Build the ``(4,)`` float32 box x0, y0, x1, y1 of a square."""
    half = side / 2
    return np.array([center_x - half, center_y - half, center_x + half, center_y + half], np.float32)


def eye_roll(landmarks: Float32 | None, side: float) -> float:
    """Angle of the eye line in radians, clockwise in the picture; 0 where it cannot be believed.

    ``landmarks`` is ``(5,2)`` in pixels, eyes first; ``side`` is that of the face square in pixels.
    """
    if landmarks is None:
        return 0.0
    (x0, y0), (x1, y1) = landmarks[:2].tolist()
    dx, dy = x1 - x0, y1 - y0
    if not math.hypot(dx, dy) >= MIN_EYE_DISTANCE * side:  # also true of NaN
        return 0.0
    roll = math.atan2(dy, dx)
    return roll if abs(roll) <= MAX_ROLL else 0.0
