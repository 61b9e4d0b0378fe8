"""Expressions that come and go on faces of real people: warped between two pictures of one person.

Nobody filmed this. Between a neutral and an expressive picture all is made from the two by dense optical flow
and a cross-fade, so that onset and strength are known at every step.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.sequences import SequenceRecipe, camera

STEPS = 40
SIDE = 192  # of the pictures that are warped, unless the network takes larger ones
Uint8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MorphFilm:
    """``crops`` (T,S,S) or (T,S,S,3) uint8, and the ``strength`` (T,) of the expression from 0 to 1."""

    crops: Uint8
    strength: npt.NDArray[np.float64]

    @property
    def expressive(self) -> npt.NDArray[np.bool_]:
        """Whether the expression is nearer than the neutral face (T,)."""
        return self.strength >= 0.5


class Morph:
    """What lies between two pictures of one face, (S,S) gray or (S,S,3) RGB uint8 of one shape.

    Flow by dense inverse search (Kroeger et al., ECCV 2016) in both directions; each picture is warped by its
    share of the flow, then faded into the other by the same share.
    """

    def __init__(self, neutral: Uint8, expressive: Uint8) -> None:
        self._ends = (neutral, expressive)
        gray = [one if one.ndim == 2 else cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in self._ends]
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._flows = (search.calc(gray[0], gray[1], None), search.calc(gray[1], gray[0], None))

    def at(self, strength: float) -> Uint8:
        """The face at ``strength``: at 0 the neutral picture, at 1 the expressive one, to the byte."""
        before = _moved(self._ends[0], self._flows[0], strength)
        after = _moved(self._ends[1], self._flows[1], 1 - strength)
        return np.rint((1 - strength) * before + strength * after).astype(np.uint8)

    def crop(self, strength: float, side: int) -> Uint8:
        """The face at ``strength`` as a crop of ``side`` pixels."""
        return np.asarray(cv2.resize(self.at(strength), (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _moved(picture: Uint8, flow: Float32, way: float) -> Float32:
    """``picture`` after ``way`` of its ``flow`` (S,S,2)."""
    rows, columns = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    x, y = columns - np.float32(way) * flow[..., 0], rows - np.float32(way) * flow[..., 1]
    return cv2.remap(picture.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def course(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Strength (STEPS,): 0 for 8 to 13 steps, 1 for 9 to 13, then 0; it rises and falls in 2 to 6."""
    onset, rise, held, fall = (int(rng.integers(*ends)) for ends in ((8, 14), (2, 7), (9, 14), (2, 7)))
    knots = np.cumsum([onset, rise, held, fall])
    return np.asarray(np.interp(np.arange(STEPS), knots, [0, 1, 1, 0]))


def film(morph: Morph, side: int, rng: np.random.Generator) -> MorphFilm:
    """An expression comes and goes, on the camera path of ``sequences`` and with its faults."""
    strength = course(rng)
    shares, at = np.unique(strength, return_inverse=True)  # most steps show one of the two pictures
    faces = np.stack([morph.crop(float(share), side) for share in shares])[at]
    return MorphFilm(camera(faces.astype(np.float32), rng, SequenceRecipe(steps=STEPS)), strength)
