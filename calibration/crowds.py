"""Frames of 1080p with four to twelve faces of 24 to 96 pixels in known places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration import textures
from calibration.degrade import blur, noise
from calibration.scenes import head, paste

Uint8 = npt.NDArray[np.uint8]
SIDES = (24, 32, 48, 64, 96)  # of the face square, pixels; drawn evenly
SIZE = (1920, 1080)


@dataclass(frozen=True)
class Crowd:
    """``frame`` (1080,1920) uint8 luma and the face squares ``boxes`` (n,4) float32 x0, y0, x1, y1."""

    frame: Uint8
    boxes: npt.NDArray[np.float32]


def crowd(images: Uint8, rng: np.random.Generator, part: str) -> Crowd:
    """One frame; heads overlap neither each other nor the edge."""
    width, height = SIZE
    frame = textures.background(height, width, rng, part)
    boxes: list[tuple[float, float, float, float]] = []
    taken: list[tuple[float, float, float, float]] = []
    wanted = int(rng.integers(4, 13))
    sides = sorted((int(rng.choice(SIDES)) for _ in range(wanted)), reverse=True)
    for side in sides:
        for _ in range(200):
            x, y = float(rng.uniform(side, width - 2 * side)), float(rng.uniform(side, height - 2 * side))
            room = (x - 0.6 * side, y - 0.4 * side, x + 1.6 * side, y + 3 * side)
            if all(room[2] < t[0] or room[0] > t[2] or room[3] < t[1] or room[1] > t[3] for t in taken):
                break
        else:
            continue  # no place left: this frame has one face less
        taken.append(room)
        boxes.append(paste(frame, head(images[int(rng.integers(len(images)))], side, rng), x, y))
    frame = noise(blur(frame, float(rng.uniform(0.3, 0.8))), float(rng.uniform(0.5, 5)), rng)
    return Crowd(frame, np.array(boxes, np.float32).reshape(-1, 4))
