"""Labeled faces to fit on, and others to measure on: never the same rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.bundle import Bundle
from edge.errors import EdgeError
from export.data.labeled import Labeled, need_labeled

MIN_FACES = 100  # in each half; with fewer, a temperature is known to a fifth at best
_SEED = "0:"  # of the hash that orders the groups


@dataclass(frozen=True)
class Faces:
    """Grey faces (N,S,S) uint8, their labels (N,) >= 0, and of which person, sequence or picture each is."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[np.str_]

    def among(self, rows: npt.NDArray[np.bool_]) -> Faces:
        """Those of ``rows`` (N,)."""
        return Faces(self.images[rows], self.labels[rows], self.groups[rows])


@dataclass(frozen=True)
class Halves:
    """Faces to fit on and to measure on; ``split`` is what keeps them apart: groups, pictures or files."""

    fitted: Faces
    held_out: Faces
    split: str


def halves(data: Path, other: Path | None, bundle: Bundle) -> Halves:
    """Both halves of the file ``data``, or all of it to fit on and ``other`` to measure on.

    Whole groups go to one half, in the order of a seeded hash, until it holds half of the faces. Without
    groups equal pictures are one. EdgeError where a half is too small to say anything.
    """
    read = need_labeled(data, bundle, choosing=True)
    found = _with_groups(read)
    if other is not None:
        made = Halves(found, _with_groups(need_labeled(other, bundle)), "files")
        _refuse_shared(made, data, other)
    else:
        first = first_half(found.groups)
        split = "pictures" if read.groups is None else "groups"
        made = Halves(found.among(first), found.among(~first), split)
    _check(made, data, other or data, bundle)
    return made


def _with_groups(data: Labeled) -> Faces:
    """The faces that have a label, each with a group."""
    data = data.among(data.labels >= 0)
    groups = _pictures(data.images) if data.groups is None else data.groups.astype(str)
    return Faces(data.images, data.labels, groups)


def _pictures(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.str_]:
    shape = str(images.shape[1:]).encode()
    return np.array([hashlib.sha256(shape + image.tobytes()).hexdigest() for image in images], "U64")


def first_half(groups: npt.NDArray[np.str_]) -> npt.NDArray[np.bool_]:
    """Which rows (N,) belong to the first half."""
    names, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort([hashlib.sha256(f"{_SEED}{name}".encode()).hexdigest() for name in names])
    before = np.cumsum(counts[order]) - counts[order]
    first = np.zeros(len(names), bool)
    first[order] = 2 * before + counts[order] <= len(groups)  # its middle lies in the first half of the rows
    return first[group]


def _refuse_shared(made: Halves, data: Path, other: Path) -> None:
    shared = len(np.intersect1d(_pictures(made.fitted.images), _pictures(made.held_out.images)))
    if shared:
        raise EdgeError(
            f"{shared} pictures of {other} stand in {data}, too, expected none; take them out of one"
        )


def _check(made: Halves, data: Path, other: Path, bundle: Bundle) -> None:
    fitted, held_out = len(made.fitted.labels), len(made.held_out.labels)
    if min(fitted, held_out) < MIN_FACES:
        together = ", whole groups" if made.split == "groups" else ""
        raise EdgeError(
            f"{fitted} labeled faces of {data} to fit on and {held_out} of {other} to measure on{together}; "
            f"expected at least {MIN_FACES} each, pass more faces or others by --held-out"
        )
    for half, path in ((made.fitted, data), (made.held_out, other)):
        present = np.unique(half.labels)
        if len(present) < 2:
            raise EdgeError(
                f"{path}: all faces of a half are {bundle.labels[present[0]]!r}, expected at least two "
                "labels; pass faces of every label"
            )
