"""Golden sequences: drawn cartoon faces, no photographs, so that they may travel with every bundle."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from calibration.degrade import blur, light, tint
from edge import answers
from edge.bundle import Bundle
from edge.data import Float32
from edge.manifest import BundleFile
from edge.preprocess import normalize_crops
from edge.protocols import Engine

SEQUENCES, STEPS = 64, 12
CLEAR = 0.5  # logits to another answer, as from the best label to the next; rounding decides nearer ties
_CANDIDATES, _DRAWS, _SEED = 768, 64, 7
_DRAWN = 192  # pixels; drawn large and shrunk, so that lines are smooth


def add_golden(bundle: Bundle, engine: Engine) -> Bundle:
    """Write golden.npz into a bundle in the making; ``engine`` gives the expected logits."""
    crops, logits = golden_sequences(engine, bundle)
    np.savez_compressed(bundle.folder / "golden.npz", crops=crops, logits=logits)
    return replace(bundle, manifest=replace(bundle.manifest, golden=BundleFile("golden.npz")))


def golden_sequences(engine: Engine, bundle: Bundle) -> tuple[npt.NDArray[np.uint8], Float32]:
    """Crops (64,12,S,S) uint8, (64,12,S,S,3) for color, and the logits (64,12,K) that ``engine`` gives them.

    Of many candidates the first 64 are taken whose answer is clear at every step: a tie says nothing about
    whether an engine computes correctly. Where fewer are clear, the clearest make up the number.
    """
    rng = np.random.default_rng(_SEED)
    best = _Candidates.none(bundle)
    for _ in range(_CANDIDATES // _DRAWS):
        if len(best.margin) == SEQUENCES and best.margin[-1] >= CLEAR:
            break
        # What is less clear than all that are kept needs neither to be drawn nor to be run to its end.
        least = best.margin[-1] if len(best.margin) == SEQUENCES else -np.inf
        drawn = _run(engine, bundle, [_Drawing.draw(rng) for _ in range(_DRAWS)], float(least))
        best = best.with_more(drawn)
    return best.crops, best.logits


class _Candidates(NamedTuple):
    """Sequences, clearest first; of equal ones that drawn first."""

    crops: npt.NDArray[np.uint8]  # (M,12,S,S), or (M,12,S,S,3) RGB
    logits: Float32  # (M,12,K)
    margin: npt.NDArray[np.float64]  # (M,) over the steps the smallest; no more than CLEAR

    @classmethod
    def none(cls, bundle: Bundle) -> _Candidates:
        crops = np.empty((0, STEPS, *_crop_shape(bundle)), np.uint8)
        return cls(crops, np.empty((0, STEPS, len(bundle.labels)), np.float32), np.empty(0))

    def with_more(self, more: _Candidates) -> _Candidates:
        """The best 64 of both."""
        crops = np.concatenate([self.crops, more.crops])
        logits = np.concatenate([self.logits, more.logits])
        margin = np.concatenate([self.margin, more.margin])
        order = np.argsort(-margin, kind="stable")[:SEQUENCES]
        return _Candidates(crops[order], logits[order], margin[order])


def _run(engine: Engine, bundle: Bundle, drawings: list[_Drawing], least: float) -> _Candidates:
    """Those of ``drawings`` that stay clearer than ``least`` at every step, drawn and run step by step."""
    left, meaning = np.arange(len(drawings)), answers.of(bundle.manifest)
    size, in_color = bundle.manifest.input.size, bundle.manifest.input.in_color
    crops = np.empty((len(drawings), STEPS, *_crop_shape(bundle)), np.uint8)
    margin = np.full(len(drawings), CLEAR)
    states = {t.input: np.zeros((len(drawings), *t.shape), np.float32) for t in bundle.state}
    logits = np.empty((len(drawings), STEPS, len(bundle.labels)), np.float32)
    for at in range(STEPS):
        for row in left:
            face = drawings[row].face(at, size)
            crops[row, at] = tint(face, int(row)) if in_color else face
        out = engine.run({"face": normalize_crops(crops[left, at], bundle.manifest), **states})
        logits[left, at] = out["logits"]
        margin[left] = np.minimum(margin[left], meaning.margin(out["logits"]))
        stay = margin[left] > least
        left = left[stay]
        states = {t.input: np.ascontiguousarray(out[t.output][stay]) for t in bundle.state}
        if not len(left):
            break
    return _Candidates(crops[left], logits[left], margin[left])


def _crop_shape(bundle: Bundle) -> tuple[int, ...]:
    face = bundle.manifest.input
    return (face.size, face.size, 3) if face.in_color else (face.size, face.size)


def draw(count: int, size: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Sequences ``(count,12,size,size)`` of faces whose mouth, brows and eyes move."""
    drawings = [_Drawing.draw(rng) for _ in range(count)]
    return np.stack([np.stack([drawing.face(at, size) for at in range(STEPS)]) for drawing in drawings])


class _Drawing(NamedTuple):
    """How one face looks and how it moves from its first pose to its last."""

    begin: npt.NDArray[np.float64]
    end: npt.NDArray[np.float64]
    skin: int
    ground: int
    line: int
    softness: float  # pixels of blur in a face of 192
    slope: tuple[float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Drawing:
        begin, end = rng.uniform(-1, 1, (2, 6))
        skin = int(rng.integers(90, 230))
        ground, line = int(rng.integers(0, 256)), int(skin * rng.uniform(0.15, 0.5))
        softness, slope = float(rng.uniform(2, 5)), rng.uniform(-0.5, 0.5, 2)
        return cls(begin, end, skin, ground, line, softness, (float(slope[0]), float(slope[1])))

    def face(self, at: int, size: int) -> npt.NDArray[np.uint8]:
        """The face (size,size) of one step."""
        pose = self.begin + (self.end - self.begin) * at / (STEPS - 1)
        face = _face(pose, self.ground, self.skin, self.line)
        if size < _DRAWN:  # blur and light cost less in a small picture, and look the same
            face = cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA)
        face = light(blur(face, self.softness * len(face) / _DRAWN), 1.0, self.slope)
        return np.asarray(face if size < _DRAWN else cv2.resize(face, (size, size)), np.uint8)


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
