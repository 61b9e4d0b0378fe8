"""Sequences from stills: what a tracked face looks like to the network over time.

No labeled emotion video may be shipped, so time is synthetic: one to three stills follow each other with
cross-fades under one camera path, drifting light, blur, compression, occlusion, crop jitter and dropped
frames. Training, tests and calibration share this generator; it is versioned because figures depend
on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration import degrade

GENERATOR_VERSION = 1
NEUTRAL = 0
Uint8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sequence:
    """``crops`` (T,S,S) uint8 and, for each step, the index ``still`` (T,) of the still that dominates."""

    crops: Uint8
    still: npt.NDArray[np.int64]


@dataclass(frozen=True)
class SequenceRecipe:
    """How far the generator goes; probabilities are per sequence unless a field says otherwise."""

    steps: int = 32
    drop: float = 0.1  # largest share of dropped frames
    jitter: float = 0.015  # crop jitter of the detector, fraction of the side, one sigma per step
    occlusion: float = 0.3
    blur: float = 0.5
    noise: float = 0.5
    compression: float = 0.3
    from_neutral: float = 0.4  # first still is neutral where the sequence has a change


def generate(
    images: Uint8, labels: npt.NDArray[np.int64], rng: np.random.Generator, recipe: SequenceRecipe
) -> Sequence:
    """One sequence of ``recipe.steps`` steps from stills (N,S,S) with ``labels`` (N,), 0 = neutral.

    Neighboring segments carry different labels; where all frames of a short middle segment are dropped,
    its neighbors meet and may carry the same one. Rows with label -1 are never drawn.
    """
    share = rng.uniform(0, recipe.drop)
    raw = int(np.ceil(recipe.steps / (1 - recipe.drop))) + 1
    seen = np.sort(rng.permutation(raw)[: max(recipe.steps, int(raw * (1 - share)))])[: recipe.steps]
    clean, still = segments(images, choose(labels, rng, recipe), raw, rng)
    crops = camera(clean, rng, recipe)
    return Sequence(crops[seen], still[seen])


def choose(labels: npt.NDArray[np.int64], rng: np.random.Generator, recipe: SequenceRecipe) -> list[int]:
    """One to three stills, no class twice in a row; a class is drawn by the root of its frequency."""
    classes, counts = np.unique(labels[labels >= 0], return_counts=True)
    weights = np.sqrt(counts)
    count = int(rng.integers(1, 4))
    chosen: list[int] = []
    last = -1
    for position in range(count):
        if position == 0 and count > 1 and NEUTRAL in classes and rng.random() < recipe.from_neutral:
            last = NEUTRAL
        else:
            p = np.where((classes == last) & (len(classes) > 1), 0, weights)
            last = int(rng.choice(classes, p=p / p.sum()))
        chosen.append(int(rng.choice(np.flatnonzero(labels == last))))
    return chosen


def segments(
    images: Uint8, chosen: list[int], steps: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Stills in a row with cross-fades of 1-4 steps: frames (steps,S,S) and the dominating still."""
    inner = 1 + rng.permutation(np.arange(4, steps - 5))[: len(chosen) - 1]
    starts = [0, *sorted(int(start) for start in inner), steps]
    frames = np.empty((steps, *images.shape[1:]), np.float32)
    still = np.empty(steps, np.int64)
    for number, index in enumerate(chosen):
        begin, end = starts[number], starts[number + 1]
        frames[begin:end], still[begin:end] = images[index], index
        if number:
            fade = int(rng.integers(1, 5))
            for offset in range(-(fade // 2), fade - fade // 2):
                at = min(max(begin + offset, 0), steps - 1)
                part = (offset + fade // 2 + 1) / (fade + 1)
                frames[at] = (1 - part) * images[chosen[number - 1]] + part * images[index].astype(np.float32)
    return frames, still


def _drift(rng: np.random.Generator, steps: int, low: float, high: float) -> npt.NDArray[np.float64]:
    """A smooth path (steps,) between ``low`` and ``high``: two knots and a slow sine."""
    knots = np.interp(np.linspace(0, 1, steps), [0, 1], rng.uniform(low, high, 2))
    wave = np.sin(np.linspace(0, rng.uniform(1, 6), steps) + rng.uniform(0, 6.3))
    return np.clip(knots + wave * (high - low) * rng.uniform(0, 0.2), low, high)


def camera(frames: npt.NDArray[np.float32], rng: np.random.Generator, recipe: SequenceRecipe) -> Uint8:
    """Geometry, light and faults along one path over all frames."""
    steps = len(frames)
    flip = bool(rng.random() < 0.5)
    angle, scale = _drift(rng, steps, -15, 15), _drift(rng, steps, 0.88, 1.15)
    shift = np.stack([_drift(rng, steps, -0.05, 0.05), _drift(rng, steps, -0.05, 0.05)], axis=1)
    shift += rng.normal(0, recipe.jitter * rng.random(), (steps, 2))
    gamma = np.exp(_drift(rng, steps, -0.4, 0.4))
    slope = np.stack([_drift(rng, steps, -0.5, 0.5), _drift(rng, steps, -0.5, 0.5)], axis=1)
    sigma_blur = _drift(rng, steps, 0, 1.5) * (rng.random() < recipe.blur)
    sigma_noise = rng.uniform(2, 14) * (rng.random() < recipe.noise)
    quality = int(rng.integers(15, 80)) if rng.random() < recipe.compression else 0
    hidden = _occlusion(rng, steps, recipe)
    out = np.empty(frames.shape, np.uint8)
    for at in range(steps):
        crop = degrade.warp(
            frames[at].astype(np.uint8), angle[at], scale[at], (shift[at, 0], shift[at, 1]), flip
        )
        crop = degrade.light(crop, float(gamma[at]), (slope[at, 0], slope[at, 1]))
        if sigma_blur[at] > 0.3:
            crop = degrade.blur(crop, float(sigma_blur[at]))
        if sigma_noise:
            crop = degrade.noise(crop, float(sigma_noise), rng)
        if at in hidden:
            crop = degrade.occlude(crop, *hidden[at])
        out[at] = degrade.compress(crop, quality) if quality else crop
    return out


def _occlusion(
    rng: np.random.Generator, steps: int, recipe: SequenceRecipe
) -> dict[int, tuple[tuple[float, float, float, float], int]]:
    """A rectangle that crosses the face for 2-8 steps, by step; empty for most sequences."""
    if rng.random() >= recipe.occlusion:
        return {}
    begin, length = int(rng.integers(0, steps)), int(rng.integers(2, 9))
    x, y, speed = rng.uniform(-0.1, 0.7), rng.uniform(-0.1, 0.7), rng.normal(0, 0.05, 2)
    w, h, value = rng.uniform(0.2, 0.5), rng.uniform(0.2, 0.5), int(rng.integers(0, 256))
    boxes = {}
    for at in range(begin, min(begin + length, steps)):
        left, top = x + speed[0] * (at - begin), y + speed[1] * (at - begin)
        boxes[at] = ((left, top, left + w, top + h), value)
    return boxes
