"""FER+ faces: votes, the label rule, and folds that keep twins together."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration import arrays
from edge.errors import BundleError

LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
EMOTIONS = len(LABELS)  # the first vote columns
UNKNOWN, NOT_A_FACE = 8, 9  # the last two vote columns
_ARRAYS = ("webp", "offsets", "votes", "split", "duplicate_group")
TWIN_CORRELATION = 0.99
ALIKE_CORRELATION, ALIKE_SIDE = 0.985, 16  # of faces that were shrunk, so that half a pixel does not matter
DEV_SHARE = 10  # one twin group in ten becomes the development fold
FOLDS = ("Training", "development fold", "PublicTest")


@dataclass(frozen=True)
class FerPlus:
    """Grey faces ``images`` (N,48,48) uint8, ``votes`` (N,10) uint8, ``fold`` (N,) a place in FOLDS.

    Figures are measured on the fold ``report``: on the last one, which no choice sees, or in a trial on the
    development fold.
    """

    images: npt.NDArray[np.uint8]
    votes: npt.NDArray[np.uint8]
    fold: npt.NDArray[np.int8]
    twins_left_out: int = 0  # rows of Training that stand in PublicTest, too
    report: int = 2
    group: npt.NDArray[np.int64] | None = None  # (N,) equal for twins, as ``load`` knows them


def load(path: Path, trial: bool = False) -> FerPlus:
    """Read ``ferplus_webp.npz`` (lossless WebP stream and offsets) and split it into folds.

    Split 1 (PublicTest) becomes fold 2. Rows of split 0 that are twins of a row of split 1 are left
    out; the other rows of split 0 go to train or dev by twin group. Copies that were cropped anew are not
    twins by that rule: see ``lookalikes``. In a ``trial`` figures come from the development fold.
    """
    if not path.is_file():
        fault = "is a folder" if path.is_dir() else "does not exist"
        raise BundleError(f"{path} {fault}; pass --data the path of ferplus_webp.npz")
    try:
        found = arrays.load(path)
        data = {name: found[name] for name in _ARRAYS}
    except (ValueError, KeyError) as error:
        raise BundleError(
            f"{path} is not ferplus_webp.npz, an archive of {', '.join(_ARRAYS)}; pass --data its path"
        ) from error
    webp, offsets = data["webp"], data["offsets"]
    stills = [cv2.imdecode(webp[a:b], cv2.IMREAD_GRAYSCALE) if b > a else None for a, b in pairwise(offsets)]
    for row, still in enumerate(stills):
        if still is None:
            raise BundleError(f"{path} is damaged: picture {row} cannot be decoded; download the file again")
    images: npt.NDArray[np.uint8] = np.stack([np.asarray(still, np.uint8) for still in stills])
    group = twin_groups(images, data["duplicate_group"])
    report = data["split"] == 1
    # Multiplying by a large odd number scatters neighboring groups over the folds, without a seed.
    dev = (group.astype(np.uint64) * np.uint64(2654435761) % np.uint64(2**32)) % np.uint64(DEV_SHARE) == 0
    fold = np.where(report, 2, np.where(dev, 1, 0)).astype(np.int8)
    keep = report | ~np.isin(group, group[report])
    return FerPlus(
        images[keep], data["votes"][keep], fold[keep], int((~keep).sum()), 1 if trial else 2, group[keep]
    )


def public_test(folder: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Faces (N,48,48) and votes (N,10) of PublicTest, from the tables as they were published.

    ``fer2013.csv`` holds the pixels, ``fer2013new.csv`` the votes, row by row in the same order; a picture
    that FER+ took out has no name there.
    """
    tables = [folder / name for name in ("fer2013.csv", "fer2013new.csv")]
    for table in tables:
        if not table.is_file():
            raise BundleError(f"no {table}; FER+ is {tables[0].name} with the pixels and {tables[1].name}")
    with tables[0].open(newline="") as pixels, tables[1].open(newline="", encoding="utf-8-sig") as votes:
        rows = zip(csv.DictReader(pixels), csv.DictReader(votes), strict=True)
        try:
            public = [
                (np.array(face["pixels"].split(), np.uint8), list(vote.values())[2:])
                for face, vote in rows
                if vote["Usage"] == "PublicTest" and vote["Image name"]
            ]
            faces, counts = zip(*public, strict=True)
            return np.stack(faces).reshape(-1, 48, 48), np.array(counts, np.uint8).reshape(-1, 10)
        except (KeyError, ValueError, AttributeError, csv.Error) as error:
            fault = f"a table lacks {error}" if isinstance(error, KeyError) else str(error)
            raise BundleError(
                f"{folder} cannot be read as FER+ ({fault}); download both tables again"
            ) from error


def twin_groups(images: npt.NDArray[np.uint8], known: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Number (N,) that images share when they are known duplicates or correlate above 0.99."""
    flat = _standardized(images)
    parent = np.arange(len(images))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for number in np.unique(known[known >= 0]):
        first, *rest = np.flatnonzero(known == number)
        for other in rest:
            parent[root(other)] = root(first)
    for start in range(0, len(flat), 1024):
        alike = flat[start : start + 1024] @ flat[start:].T > TWIN_CORRELATION
        for a, b in zip(*np.nonzero(alike), strict=True):
            if a < b:
                parent[root(start + b)] = root(start + a)
    return np.array([root(i) for i in range(len(images))], np.int64)


def lookalikes(data: FerPlus) -> npt.NDArray[np.bool_]:
    """Which rows (M,) of the report fold show a picture that the folds before it seem to hold, too.

    They are no twins pixel by pixel, but correlate above 0.985 once shrunk to 16 pixels: mostly the same
    photograph, cropped a little differently.
    """
    size = (ALIKE_SIDE, ALIKE_SIDE)
    small = np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in data.images])
    flat = _standardized(small.astype(np.uint8))
    ours, others = flat[data.fold == data.report], flat[data.fold < data.report].T
    closest = [(ours[at : at + 512] @ others).max(axis=1, initial=-1) for at in range(0, len(ours), 512)]
    return np.concatenate([np.zeros(0, np.float32), *closest]) > ALIKE_CORRELATION


def _standardized(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Rows (N,H*W) without mean and of length 1: their products are correlations."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return flat


def majority(votes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Label (N,) by the majority rule of FER+ (Barsoum et al., ICMI 2016), -1 where there is none.

    Single votes count as noise; the largest of the ten must hold more than half of the rest and be
    one of the eight emotions.
    """
    counted = np.where(votes == 1, 0, votes).astype(np.int64)
    best = counted.argmax(axis=1)
    clear = 2 * counted.max(axis=1) > counted.sum(axis=1)
    return np.where(clear & (best < EMOTIONS), best, -1)


def soft_targets(votes: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Vote distribution over the eight emotions (N,8) and which rows (N,) are usable as targets."""
    counted = np.where(votes == 1, 0, votes).astype(np.float32)
    total = counted[:, :EMOTIONS].sum(axis=1, keepdims=True)
    usable = (total[:, 0] > 0) & (counted.argmax(axis=1) < EMOTIONS)
    return counted[:, :EMOTIONS] / np.maximum(total, 1), usable


def describe(data: FerPlus, names: tuple[str, ...]) -> dict[str, Any]:
    """What the data sheet says: faces, clear majorities and agreement of the voters, by fold."""
    folds: dict[str, Any] = {}
    for number, name in enumerate(FOLDS):
        votes = data.votes[data.fold == number]
        labels = majority(votes)
        most = votes.max(axis=1) / np.maximum(votes.sum(axis=1), 1)
        folds[name] = {
            "faces": len(votes),
            "clear_majority": {label: int((labels == k).sum()) for k, label in enumerate(names)},
            "no_clear_majority": int((labels < 0).sum()),
            "usable_as_soft_target": int(soft_targets(votes)[1].sum()),
            "largest_share_of_votes": round(float(most.mean()), 3) if len(votes) else 0.0,
        }
    return {"folds": folds, "twins_left_out": data.twins_left_out}
