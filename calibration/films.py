"""Sequences with the truth of every step: which still, and whether there is a face at all.

Beside ``sequences.generate``, which training shares and which stays as it is: faces that talk, faces that go
and come back, and hours in which a box holds no face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration import negatives, speech, textures
from calibration.degrade import occlude
from calibration.sequences import SequenceRecipe, camera, choose, generate, segments

FILMS_VERSION = 1
Uint8 = npt.NDArray[np.uint8]
NOBODY = -1  # in ``still``: no face was ever there


@dataclass(frozen=True)
class Film:
    """What one track sees: ``crops`` (T,S,S) uint8 gray, with the truth of each step.

    ``still`` (T,) is the index of the still that dominates, also while it is hidden, or NOBODY.
    ``share`` (T,) is what part of the face is seen: 1 all of it, 0 none, 0.5 where nobody could say.
    """

    crops: Uint8
    still: npt.NDArray[np.int64]
    share: npt.NDArray[np.float64]

    @property
    def has_face(self) -> npt.NDArray[np.bool_]:
        """Whether more of a face is seen than not (T,)."""
        return self.share > 0.5

    @property
    def clear(self) -> npt.NDArray[np.bool_]:
        """Steps (T,) at which it cannot be disputed whether there is a face: only these are counted."""
        return (self.share <= negatives.GONE) | (self.share >= negatives.THERE)

    @property
    def gone(self) -> npt.NDArray[np.bool_]:
        """Steps (T,) without a face."""
        return self.share <= negatives.GONE


Make = Callable[[Uint8, npt.NDArray[np.int64], np.random.Generator, int, str], Film]


def plain(
    images: Uint8, labels: npt.NDArray[np.int64], rng: np.random.Generator, steps: int, part: str
) -> Film:
    """``sequences.generate`` with its truth: one to three stills (N,S,S), silent, always there."""
    made = generate(images, labels, rng, SequenceRecipe(steps=steps))
    return Film(made.crops, made.still, np.ones(steps))


def talking(
    images: Uint8, labels: npt.NDArray[np.int64], rng: np.random.Generator, steps: int, part: str
) -> Film:
    """One to three stills whose mouths move as in speech, ten steps a second; the expression stays."""
    clean, still = segments(images, choose(labels, rng, SequenceRecipe()), steps, rng)
    lips = {int(index): speech.lips_at(images[index]) for index in np.unique(still)}
    mouths = speech.talk(steps, 10.0, rng)
    moved = [
        speech.move_mouth(face.astype(np.uint8), mouth, lips[int(index)])
        for face, mouth, index in zip(clean, mouths, still, strict=True)
    ]
    crops = camera(np.stack(moved).astype(np.float32), rng, SequenceRecipe(occlusion=0.1))
    return Film(crops, still, np.ones(steps))


def interrupted(
    images: Uint8, labels: npt.NDArray[np.int64], rng: np.random.Generator, steps: int, part: str
) -> Film:
    """One to three stills and one or two stretches of 6 to 20 steps in which the face is gone."""
    clean, still = segments(images, choose(labels, rng, SequenceRecipe()), steps, rng)
    share = np.ones(steps)
    kinds = list(negatives.LOSSES)
    begin = int(rng.integers(6, 18))
    for _ in range(int(rng.integers(1, 3))):
        length = int(rng.integers(8, 23))
        if begin + length > steps - 2:
            break
        lose = negatives.LOSSES[kinds[int(rng.integers(len(kinds)))]](images.shape[1], rng, part)
        for at, stage in enumerate(negatives.stages(length, rng), begin):
            seen = lose(clean[at].astype(np.uint8), float(stage))
            clean[at], share[at] = seen.frame, seen.share
        begin += length + int(rng.integers(10, 25))
    return Film(camera(clean, rng, SequenceRecipe(occlusion=0)), still, share)


MAKES: dict[str, Make] = {"plain": plain, "talking": talking, "interrupted": interrupted}


def faceless(
    images: Uint8, labels: npt.NDArray[np.int64], rng: np.random.Generator, steps: int, part: str
) -> Iterator[Film]:
    """Films in which a box goes on without a face, until ``steps`` steps of them show none.

    Most begin with a face for 8 steps, which then leaves, turns away, is covered, bows, or is lost in dark
    or in blur, and stays away for 20 to 120 steps. The others never had one: a detector was wrong about a
    wall, a thing, an animal or a pattern.
    """
    kinds = [*negatives.LOSSES, "never", "never", "covered", "turns"]
    found = np.flatnonzero(labels >= 0)
    while steps > 0:
        kind = kinds[int(rng.integers(len(kinds)))]
        length = int(rng.integers(20, 121))
        if kind == "never":
            film = _never(images.shape[1], rng, length, part)
        else:
            film = _lost(images, int(rng.choice(found)), negatives.LOSSES[kind], rng, length, part)
        steps -= int(film.gone.sum())
        yield film


def _lost(
    images: Uint8,
    index: int,
    loss: Callable[[int, np.random.Generator, str], negatives.Loss],
    rng: np.random.Generator,
    length: int,
    part: str,
) -> Film:
    """A face for 8 steps, then ``length`` steps in which it goes and stays away."""
    face, lead = images[index], 8
    lose = loss(len(face), rng, part)
    rise = int(rng.integers(1, 5))
    path = np.minimum((np.arange(length) + 1) / (rise + 1), 1) * np.maximum(
        1 - np.abs(rng.normal(0, 0.02, length)), 0
    )
    seen = [lose(face, float(stage)) for stage in np.concatenate([np.zeros(lead), path])]
    frames = np.stack([one.frame for one in seen]).astype(np.float32)
    crops = camera(frames, rng, SequenceRecipe(occlusion=0, steps=len(frames)))
    return Film(crops, np.full(len(frames), index), np.array([one.share for one in seen]))


def _never(side: int, rng: np.random.Generator, length: int, part: str) -> Film:
    """``length`` steps over scenery that a detector took for a face; things pass in a third of them."""
    scene = textures.background(2 * side, 2 * side, rng, part)
    move = rng.uniform(-0.5, 0.5, 2) * side * (rng.random() < 0.6)
    frames = np.empty((length, side, side), np.float32)
    passes = rng.random() < 0.33
    for at in range(length):
        x, y = side / 2 + move * at / length
        frames[at] = cv2.getRectSubPix(scene, (side, side), (x + side / 2, y + side / 2))
        if passes:
            left = -0.5 + 2 * ((at / 15) % 1)
            frames[at] = occlude(frames[at].astype(np.uint8), (left, 0.1, left + 0.4, 0.9), 40 + at % 7)
    crops = camera(frames, rng, SequenceRecipe(occlusion=0))
    return Film(crops, np.full(length, NOBODY), np.zeros(length))
