"""The face square: a framing of a face shared by all detectors, and the conversion from other boxes.

It is the framing of a FER2013 still, on which the reference model is trained. For an upright frontal face,
the midpoint of the eyes is at (0.49, 0.39) of the side. The eyes are 0.36 of the side apart and the mouth
corners are at 0.74 (YuNet's medians over 1,414 stills). The square is upright in the frame and may extend
beyond it. Coordinates are continuous: pixel i covers i..i+1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge.data import Float32
from edge.errors import EdgeError

MAX_ROLL = math.radians(45)  # beyond this, wrong landmarks are more likely than a tilted head
MIN_EYE_DISTANCE = 0.1  # of the side; closer eyes mean a profile, whose eye line does not show the roll
# Of the side: the mean of YuNet's five landmarks on stills of 100, 160 and 240 px (0.074, 0.074, 0.081). It
# varies less than the center of the box, which shifts with the size and the yaw of the head.
LANDMARKS_BELOW_CENTER = 0.076


class Convention(NamedTuple):
    """A detector's box relative to the face square, measured on frontal faces."""

    side: float  # of the square / sqrt(width * height of the box)
    down: float  # from the center of the box to that of the square / side of the square


# Compared with YuNet's face square on the 204 pictures of the London set: IoU at least 0.88, 0.76 and 0.83,
# median 0.93 for each. Haar is OpenCV's cascade alt2, UltraFace the "slim" model for 320x240.
CONVENTIONS = {
    "yunet": Convention(1.15, -0.022),
    "haar": Convention(1.10, 0.009),
    "ultraface": Convention(1.145, 0.0),
}
_LANDMARK_SPAN = 0.355  # of the side: mean of the eye and eye-to-mouth distances, on the same pictures


def face_square(
    box: Sequence[float] | Float32,
    landmarks: npt.ArrayLike | None = None,
    convention: str | None = None,
) -> Float32:
    """The face square (4,) float32, x0, y0, x1, y1 in pixels, for a face found by another detector.

    Args:
        box: x0, y0, x1, y1 in pixels.
        landmarks: (5,2) in pixels: right eye, left eye, nose, right and left corner of the mouth. With
            them the box is not used: on the London set the IoU with YuNet's square is at least 0.89.
        convention: the detector's box convention: yunet, haar or ultraface.

    Raises:
        EdgeError: neither landmarks nor a known convention, or an invalid box or landmarks.
    """
    corners = np.asarray(box, np.float64)
    if corners.shape != (4,) or not np.isfinite(corners).all() or not (corners[2:] > corners[:2]).all():
        raise EdgeError(f"box is {box}, expected x0, y0, x1, y1 in pixels with x0 < x1 and y0 < y1")
    if landmarks is not None:
        return _from_landmarks(np.asarray(landmarks, np.float32))
    if convention not in CONVENTIONS:
        raise EdgeError(
            f"convention is {convention!r}, expected one of {', '.join(CONVENTIONS)}; or pass five landmarks"
        )
    ratios = CONVENTIONS[convention]
    width, height = corners[2:] - corners[:2]
    side = ratios.side * math.sqrt(width * height)
    x, y = (corners[:2] + corners[2:]) / 2
    return square(x, y + ratios.down * side, side)


def _from_landmarks(points: Float32) -> Float32:
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise EdgeError(f"landmarks are {points.shape}, expected (5, 2) finite pixels; or leave them out")
    eyes, mouth = (points[0] + points[1]) / 2, (points[3] + points[4]) / 2
    span = (math.dist(points[0], points[1]) + math.dist(eyes, mouth)) / 2
    if span == 0:
        raise EdgeError("all landmarks coincide; leave them out and pass a convention")
    x, y = points.mean(axis=0).tolist()
    side = span / _LANDMARK_SPAN
    return around(x, y, side, eye_roll(points, side))


def around(x: float, y: float, side: float, roll: float) -> Float32:
    """The square of ``side`` pixels for five landmarks whose mean is at ``x``, ``y``."""
    # Up along the face, not the frame, so that a tilted head, once leveled, is framed like an upright one.
    up = LANDMARKS_BELOW_CENTER * side
    return square(x + up * math.sin(roll), y - up * math.cos(roll), side)


def side_of(box: Float32) -> float:
    """The side of a face square ``(4,)`` in pixels."""
    return float(box[2] - box[0])


def square(center_x: float, center_y: float, side: float) -> Float32:
    """The ``(4,)`` float32 box x0, y0, x1, y1 of a square."""
    half = side / 2
    return np.array([center_x - half, center_y - half, center_x + half, center_y + half], np.float32)


def eye_roll(landmarks: Float32 | None, side: float) -> float:
    """Angle of the eye line in radians, clockwise in the picture; 0 if it is unreliable.

    ``landmarks`` is ``(5,2)`` in pixels, eyes first; ``side`` is the side of the face square in pixels.
    """
    if landmarks is None:
        return 0.0
    (x0, y0), (x1, y1) = landmarks[:2].tolist()
    dx, dy = x1 - x0, y1 - y0
    if not math.hypot(dx, dy) >= MIN_EYE_DISTANCE * side:  # also true for NaN
        return 0.0
    roll = math.atan2(dy, dx)
    return roll if abs(roll) <= MAX_ROLL else 0.0
