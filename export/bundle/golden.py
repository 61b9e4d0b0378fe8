"""Golden sequences: drawn cartoon faces, no photographs, so that they may travel with every bundle."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from calibration.degrade import blur, light
from edge.bundle import Bundle
from edge.data import Float32
from edge.engines.golden import roll
from edge.manifest import BundleFile
from edge.protocols import Engine

SEQUENCES, STEPS = 64, 12
CLEAR = 0.5  # logits between the best label and the next; rounding decides nearer ties
_CANDIDATES, _DRAWS, _SEED = 768, 128, 7
_DRAWN = 192  # pixels; drawn large and shrunk, so that lines are smooth


def add_golden(bundle: Bundle, engine: Engine) -> Bundle:
    """Write golden.npz into a bundle in the making; ``engine`` gives the expected logits."""
    crops, logits = golden_sequences(engine, bundle)
    np.savez_compressed(bundle.folder / "golden.npz", crops=crops, logits=logits)
    return replace(bundle, manifest=replace(bundle.manifest, golden=BundleFile("golden.npz")))


def golden_sequences(engine: Engine, bundle: Bundle) -> tuple[npt.NDArray[np.uint8], Float32]:
    """Crops (64,12,S,S) uint8 and the logits (64,12,K) that ``engine`` gives them.

    Of many candidates the first 64 are taken whose label is clear at every step: a tie says nothing about
    whether an engine computes correctly. Where fewer are clear, the clearest make up the number.
    """
    rng, size = np.random.default_rng(_SEED), bundle.manifest.input.size
    crops = np.empty((0, STEPS, size, size), np.uint8)
    logits, margin = np.empty((0, STEPS, len(bundle.labels)), np.float32), np.empty(0)
    while (margin >= CLEAR).sum() < SEQUENCES and len(crops) < _CANDIDATES:
        drawn = draw(_DRAWS, size, rng)
        crops, logits = np.concatenate([crops, drawn]), np.concatenate([logits, roll(engine, bundle, drawn)])
        second, best = np.sort(logits, axis=-1)[..., -2:].transpose(2, 0, 1)
        margin = (best - second).min(axis=1)
    chosen = np.argsort(-np.minimum(margin, CLEAR), kind="stable")[:SEQUENCES]
    return crops[chosen], logits[chosen]


def draw(count: int, size: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Sequences ``(count,12,size,size)`` of faces whose mouth, brows and eyes move."""
    crops = np.empty((count, STEPS, size, size), np.uint8)
    for row in crops:
        begin, end = rng.uniform(-1, 1, (2, 6))
        skin = int(rng.integers(90, 230))
        ground, line = int(rng.integers(0, 256)), int(skin * rng.uniform(0.15, 0.5))
        softness, slope = float(rng.uniform(2, 5)), tuple(rng.uniform(-0.5, 0.5, 2))
        for at in range(STEPS):
            face = _face(begin + (end - begin) * at / (STEPS - 1), ground, skin, line)
            face = light(blur(face, softness), 1.0, slope)
            row[at] = cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA)
    return crops


def _face(pose: npt.NDArray[np.float64], ground: int, skin: int, line: int) -> npt.NDArray[np.uint8]:
    """One cartoon; ``pose`` (6,) in -1..1: mouth curve and opening, brow height and tilt, eyes, turn."""
    curve, opening, brow, tilt, eyes, turn = pose
    image = np.full((_DRAWN, _DRAWN), ground, np.uint8)
    middle = int(96 + 14 * turn)
    cv2.ellipse(image, (96, 100), (74, 92), 0, 0, 360, skin, -1)
    for side in (-1, 1):
        eye = (middle + 32 * side, 78)
        cv2.ellipse(image, eye, (13, max(2, int(7 + 6 * eyes))), 0, 0, 360, min(skin + 60, 255), -1)
        cv2.circle(image, eye, 5, line, -1)
        height, slope = int(54 - 8 * brow), int(8 * tilt) * side
        cv2.line(image, (eye[0] - 15, height + slope), (eye[0] + 15, height - slope), line, 5)
    cv2.line(image, (middle, 86), (middle + 4, 112), (skin + line) // 2, 4)
    start, stop = (10, 170) if curve > 0 else (190, 350)
    depth = max(2, int(22 * abs(curve)))
    cv2.ellipse(image, (middle, 140), (30, depth), 0, start, stop, line, 5)
    if opening > 0:
        cv2.ellipse(image, (middle, 146), (18, int(4 + 16 * opening)), 0, 0, 360, line, -1)
    return image
