"""Golden sequences: drawn cartoon faces, no photographs, so that they may travel with every bundle."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

SEQUENCES, STEPS = 64, 12
_DRAWN = 192  # pixels; drawn large and shrunk, so that lines are smooth


def golden_crops(size: int, seed: int = 7) -> npt.NDArray[np.uint8]:
    """Sequences ``(64,12,size,size)`` uint8 of faces whose mouth, brows and eyes move."""
    rng = np.random.default_rng(seed)
    crops = np.empty((SEQUENCES, STEPS, size, size), np.uint8)
    for row in crops:
        begin, end = rng.uniform(-1, 1, (2, 6))
        shades = rng.integers(0, 256, 3)
        for at in range(STEPS):
            face = _face(begin + (end - begin) * at / (STEPS - 1), shades)
            row[at] = cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA)
    return crops


def _face(pose: npt.NDArray[np.float64], shades: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """One cartoon; ``pose`` (6,) in -1..1: mouth curve and opening, brow height and tilt, eyes, turn."""
    curve, opening, brow, tilt, eyes, turn = pose
    ground, skin, line = (int(shade) for shade in shades)
    image = np.full((_DRAWN, _DRAWN), ground, np.uint8)
    middle = int(96 + 14 * turn)
    cv2.ellipse(image, (96, 100), (74, 92), 0, 0, 360, skin, -1)
    for side in (-1, 1):
        eye = (middle + 32 * side, 78)
        cv2.ellipse(image, eye, (13, max(2, int(7 + 6 * eyes))), 0, 0, 360, 255 - skin // 2, -1)
        cv2.circle(image, eye, 4, line, -1)
        height, slope = int(54 - 8 * brow), int(8 * tilt) * side
        cv2.line(image, (eye[0] - 15, height + slope), (eye[0] + 15, height - slope), line, 5)
    cv2.line(image, (middle, 86), (middle + 4, 112), line, 3)
    start, stop = (10, 170) if curve > 0 else (190, 350)
    depth = max(2, int(22 * abs(curve)))
    cv2.ellipse(image, (middle, 140), (30, depth), 0, start, stop, line, 5)
    if opening > 0:
        cv2.ellipse(image, (middle, 146), (18, int(4 + 16 * opening)), 0, 0, 360, line, -1)
    return image
