"""Crops that do not show a face, of several kinds, by the rule in face_crops."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from calibration import degrade
from export.train.face_crops import NEAR, Draw, Images, Pictures, cover, framed, part, patch, with_camera

FAR = 0.5  # of the side: shift from which a crop does not show its face


def no_faces(pictures: Pictures, kind: str, count: int, rng: Draw) -> Images:
    """``count`` crops (N,S,S) of one of KINDS, with the faults of a camera."""
    return np.stack([with_camera(_MAKERS[kind](pictures, rng), rng) for _ in range(count)])


def _shifted(pictures: Pictures, rng: Draw) -> Images:
    far = rng.uniform(FAR, 0.95)
    shift = np.array([far * rng.choice([-1, 1]), rng.uniform(-0.6, 0.6)])
    return framed(pictures, shift if rng.random() < 0.5 else shift[::-1], rng.uniform(0.75, 1.3), 1.0, rng)


def _covered(pictures: Pictures, rng: Draw) -> Images:
    crop = framed(pictures, rng.uniform(-NEAR, NEAR, 2), rng.uniform(0.8, 1.3), 1.0, rng)
    return cover(crop, rng.uniform(0.75, 1), pictures, rng)


def _hair(pictures: Pictures, rng: Draw) -> Images:
    """The top of a bowed head, or its back: the upper quarter of a still or less, over what is around it."""
    still = pictures.faces[rng.integers(len(pictures.faces))]
    side = len(still)
    rows = int(side * rng.uniform(0.12, 0.25))
    low = int(side * rng.uniform(0.0, 0.3))
    top = cv2.resize(still[:rows], (side, int(side * rng.uniform(0.5, 1)) + 1), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(0, rng.uniform(0, 12), top.shape)
    grain = cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.3, 2), sigmaY=rng.uniform(0.3, 4))
    top = np.clip(top + grain * 3, 0, 255).astype(np.uint8)[:side]
    back = patch(pictures, rng) if rng.random() < 0.5 else np.full_like(still, rng.integers(256))
    out = back.copy()
    out[low : low + len(top)] = top[: side - low]
    oval = np.zeros((side, side), np.float32)
    axes = (int(side * rng.uniform(0.3, 0.7)), int(side * rng.uniform(0.4, 0.8)))
    cv2.ellipse(
        oval,
        (side // 2 + int(rng.integers(-6, 7)), side // 2 + int(rng.integers(0, 16))),
        axes,
        0,
        0,
        360,
        1.0,
        -1,
    )
    oval = cv2.GaussianBlur(oval, (0, 0), rng.uniform(0.5, 3))
    return np.asarray(out * oval + back * (1 - oval), np.uint8)


def _drawn(pictures: Pictures, rng: Draw) -> Images:
    """Noise, waves, blobs, shuffled parts, or the simple drawing of a face on a plain ground."""
    still = pictures.faces[rng.integers(len(pictures.faces))]
    return degrade.no_face(still, rng) if rng.random() < 0.7 else _drawing(len(still), rng)


def _drawing(side: int, rng: Draw) -> Images:
    ground, ink = (int(value) for value in rng.permutation([rng.integers(0, 100), rng.integers(150, 256)]))
    out = np.full((4 * side, 4 * side), ground, np.uint8)
    middle, line = 2 * side, int(rng.integers(2, 10))
    radius = int(side * rng.uniform(1.2, 1.9))
    cv2.circle(out, (middle, middle), radius, ink, line)
    for x in (-1, 1):
        at = (middle + x * radius * 2 // 5, middle - radius // 4)
        cv2.circle(out, at, int(radius * rng.uniform(0.05, 0.2)), ink, -1 if rng.random() < 0.6 else line)
        if rng.random() < 0.3:  # ears of an animal
            cv2.circle(out, (middle + x * radius * 4 // 5, middle - radius * 4 // 5), radius // 3, ink, line)
    mouth = (middle, middle + radius // 3)
    cv2.ellipse(out, mouth, (radius // 2, radius // 4), 0, 0, float(rng.uniform(90, 360)), ink, line)
    small = cv2.resize(out, (side, side), interpolation=cv2.INTER_AREA)
    return degrade.warp(small, rng.uniform(-20, 20), rng.uniform(0.8, 1.2), tuple(rng.uniform(-0.2, 0.2, 2)))


def _blurred(pictures: Pictures, rng: Draw) -> Images:
    """A face out of which blur or darkness has left nothing to read."""
    crop = framed(pictures, rng.uniform(-0.3, 0.3, 2), rng.uniform(0.8, 1.3), 1.0, rng)
    return degrade.blur(crop, rng.uniform(6, 12))


_MAKERS: dict[str, Callable[[Pictures, Draw], Images]] = {
    "shifted": _shifted, "partial": part, "covered": _covered, "hair": _hair, "photograph": patch,
    "drawn": _drawn, "blurred": _blurred,
}  # fmt: skip
KINDS = tuple(_MAKERS)
