"""What everything is chosen and judged on: the sets' composition and seeds, fixed before the first choice.

Whoever changes a row, a seed or what a generator makes gets other figures than those that were published. So
nobody does: a test holds a digest of this table and samples of what each kind gives for drawn faces. A
better generator gets rows of its own under a new version.

Both parts take stills of FER+'s development fold, which trains nothing, half of its twin groups each (see
``export.data.frozen``); "development" is for choosing, "judging" is looked at once, at the end. Photographs
behind the faces are apart, too, and none of those is in the part for training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration import crowds, cuts, empties, films
from calibration.crowds import Crowd
from calibration.cuts import Clip
from calibration.films import Film

VERSION = 1
STEPS = 64  # of a film of the kinds plain, talking and interrupted; 6.4 s
Uint8 = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FrozenSet:
    """``count``: films, clips of each kind, frames; of faceless steps; of uncut and empty seconds."""

    name: str
    kind: str
    count: int
    seed: int
    part: str


SETS = (
    FrozenSet("dev-plain", "plain", 300, 26_101, "development"),
    FrozenSet("dev-talking", "talking", 300, 26_102, "development"),
    FrozenSet("dev-interrupted", "interrupted", 300, 26_103, "development"),
    FrozenSet("dev-faceless", "faceless", 36_000, 26_104, "development"),
    FrozenSet("dev-cuts", "cuts", 50, 26_105, "development"),
    FrozenSet("dev-uncut", "uncut", 3600, 26_106, "development"),
    FrozenSet("dev-empty", "empty", 3600, 26_107, "development"),
    FrozenSet("dev-crowds", "crowds", 60, 26_108, "development"),
    FrozenSet("judge-plain", "plain", 300, 26_201, "judging"),
    FrozenSet("judge-talking", "talking", 300, 26_202, "judging"),
    FrozenSet("judge-interrupted", "interrupted", 300, 26_203, "judging"),
    FrozenSet("judge-faceless", "faceless", 36_000, 26_204, "judging"),
    FrozenSet("judge-cuts", "cuts", 50, 26_205, "judging"),
    FrozenSet("judge-uncut", "uncut", 3600, 26_206, "judging"),
    FrozenSet("judge-empty", "empty", 3600, 26_207, "judging"),
    FrozenSet("judge-crowds", "crowds", 60, 26_208, "judging"),
)


def named(name: str) -> FrozenSet:
    """The set of that name; KeyError if there is none."""
    return {one.name: one for one in SETS}[name]


def sequences(which: FrozenSet, images: Uint8, labels: Labels) -> Iterator[Film]:
    """Films of the kinds plain, talking, interrupted and faceless, of stills (N,S,S) of the set's part."""
    if which.kind == "faceless":
        yield from films.faceless(images, labels, np.random.default_rng(which.seed), which.count, which.part)
        return
    for number in range(which.count):
        rng = np.random.default_rng((which.seed, number))
        yield films.MAKES[which.kind](images, labels, rng, STEPS, which.part)


def clips(which: FrozenSet, images: Uint8, labels: Labels) -> Iterator[Clip]:
    """Videos of the kinds cuts (``count`` of each of ``cuts.KINDS``) and uncut."""
    known = images[labels >= 0]
    if which.kind == "uncut":
        yield from cuts.uncut(known, np.random.default_rng(which.seed), which.part, which.count)
        return
    for kind in cuts.KINDS:
        for number in range(which.count):
            yield clip_of(which, kind, number, known)


def clip_of(which: FrozenSet, kind: str, number: int, faces: Uint8) -> Clip:
    """Video ``number`` of one of ``cuts.KINDS``, of labeled stills (N,S,S)."""
    rng = np.random.default_rng((which.seed, cuts.KINDS.index(kind), number))
    return cuts.clip(kind, faces, rng, which.part)


def empty(which: FrozenSet, images: Uint8, labels: Labels) -> Iterator[Uint8]:
    """Videos (T,H,W) at ``empties.FPS`` in which there is no face."""
    rng = np.random.default_rng(which.seed)
    yield from empties.empty(images[labels >= 0], rng, which.part, which.count)


def frames(which: FrozenSet, images: Uint8, labels: Labels) -> Iterator[Crowd]:
    """Frames of the kind crowds."""
    for number in range(which.count):
        yield crowds.crowd(images[labels >= 0], np.random.default_rng((which.seed, number)), which.part)


def digest_of() -> list[list[Any]]:
    """The table as plain values, for the test that holds it."""
    return [[VERSION, STEPS], *(list(astuple(one)) for one in SETS)]
