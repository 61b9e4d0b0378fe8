"""Drawn faces for tests of the generators: no photographs, and the same on every machine."""

import cv2
import numpy as np


def drawn_faces(count: int = 12, side: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Faces (count,side,side) uint8 gray with labels (count,) in turn 0, 1, 2, 3; 0 is neutral."""
    faces, labels = [], np.arange(count) % 4
    for number in range(count):
        picture = np.full((192, 192), 20 + 5 * number, np.uint8)
        cv2.ellipse(picture, (96, 100), (74, 92), 0, 0, 360, 130 + 5 * number, -1)
        for x in (62, 128):
            cv2.circle(picture, (x, 76), 9, 30, -1)
        curve = (0, 20, -20, 8)[number % 4]
        cv2.ellipse(
            picture, (94, 142), (30, abs(curve) + 2), 0, *((0, 180) if curve > 0 else (180, 360)), 40, 6
        )
        faces.append(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA))
    return np.stack(faces), labels
