"""Whether there is a face in a crop at all: asked at every step, before there is a label.

Two questions, the cheaper one first. The crop as the camera gives it: is there light, contrast and detail
enough to read a face? Then, if the bundle's network has an output for it: does it see a face?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from edge.data import UNCERTAIN, Answer, Float32
from edge.errors import EdgeError
from edge.manifest import FaceOutput
from edge.preprocess import UInt8

# 998 of 1,000 faces of the development fold, under all that the generator does to them, lie above each; see
# export/experiments.md, "Is it still a face?". The network does not see the light, only what is in it.
DARK = 8.0  # mean gray level
FLAT = 8.0  # standard deviation in gray levels
BLURRED = 2.9  # standard deviations that all differences of neighbors in a row or column add up to


@dataclass(frozen=True)
class FaceCheck:
    """The checks for one bundle; ``output`` is what its network gives, or None. ``on`` False: no check."""

    output: FaceOutput | None = None
    on: bool = True

    def readable(self, crops: UInt8) -> list[bool]:
        """Whether each of the uint8 crops (N,S,S) or (N,S,S,3) is light, rich and sharp enough."""
        return [not self.on or _readable(crop) for crop in crops]

    def faces(self, outputs: Mapping[str, Any], new: Sequence[bool]) -> Sequence[bool]:
        """Whether the network saw a face in each of its crops; True where it has no output for it.

        ``new``: in which there was none a moment ago; these have to be clearer. EdgeError if it gave no
        finite number for each.
        """
        count = len(new)
        if self.output is None or not self.on:
            return [True] * count
        scores: Float32 = np.asarray(outputs[self.output.output], np.float32)
        if scores.shape != (count, 1) or not np.isfinite(scores).all():
            raise EdgeError(
                f"the network gave NaN, infinity or too few numbers in {self.output.output!r}; "
                "use another bundle"
            )
        pairs = zip(scores[:, 0].tolist(), new, strict=True)
        return [score >= self.output.bound(is_new) for score, is_new in pairs]


NO_CHECK = FaceCheck(on=False)


def uncertain(answer: Answer) -> Answer:
    """``answer`` with its numbers, but without what it says."""
    return replace(answer, label=UNCERTAIN, present=())


def _readable(crop: UInt8) -> bool:
    # Plain numbers: on arrays this small NumPy would take most of the time.
    means, deviations = cv2.meanStdDev(crop)
    contrast = max(deviations.ravel().tolist())
    if contrast < FLAT or max(means.ravel().tolist()) < DARK:
        return False
    return _detail(crop) >= BLURRED * contrast


def sharpness(crop: UInt8) -> float:
    """How sharp the uint8 crop (S,S) or (S,S,3) is; below 1 it is not read. 0 if it is flat."""
    contrast = float(cv2.meanStdDev(crop)[1].max())
    return _detail(crop) / (BLURRED * contrast) if contrast > 0 else 0.0


def _detail(crop: UInt8) -> float:
    """What all differences of neighbors in a row or column add up to, in gray levels."""
    across = cv2.norm(crop[:, 1:], crop[:, :-1], cv2.NORM_L1) / crop[:, 1:].size
    down = cv2.norm(crop[1:], crop[:-1], cv2.NORM_L1) / crop[1:].size
    return float((across + down) / 2 * len(crop))
