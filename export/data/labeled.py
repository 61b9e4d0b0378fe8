"""Labeled faces to measure on: an .npz of one's own, or FER+."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration import arrays
from edge import answers
from edge.bundle import Bundle
from edge.errors import EdgeError, reason
from export.data import ferplus
from export.data.datasets import canonical


@dataclass(frozen=True)
class Labeled:
    """Faces (N,S,S) uint8 gray or (N,S,S,3) RGB, and labels (N,); -1 where there is none.

    ``groups`` (N,) says of which person or sequence each face is, where that is known.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    groups: npt.NDArray[Any] | None = None

    def among(self, rows: npt.NDArray[Any]) -> Labeled:
        """Those of ``rows``, a mask or places."""
        groups = None if self.groups is None else self.groups[rows]
        return Labeled(self.images[rows], self.labels[rows], groups)


def read_labeled(path: Path, bundle: Bundle, choosing: bool = False) -> Labeled | None:
    """Labeled faces of an .npz with ``images`` and ``labels`` (places in the bundle's), or of FER+.

    The .npz may hold ``groups``, a whole number or a name for each face: faces of one are kept together.

    FER+ is ``ferplus_webp.npz`` or a folder with the two published tables. Its PublicTest is read; where
    something is to be chosen (``choosing``), the development fold of the .npz instead. Labels are in the
    bundle's order, and -1 where the bundle lacks one. None where ``path`` holds no labels.
    """
    if path.is_dir() and not choosing:
        check_chooses(bundle)
        return _by_votes(*ferplus.public_test(path), bundle)
    if path.suffix != ".npz":
        return None
    try:
        found = arrays.load(path)
        if {"images", "labels"} <= set(found):
            check_chooses(bundle)
            in_color = bundle.manifest.input.in_color
            faces = _labeled(path, found["images"], found["labels"], len(bundle.labels), in_color)
            return replace(faces, groups=_groups(path, found.get("groups"), len(faces.labels)))
    except ValueError as error:
        raise EdgeError(
            f"{path} cannot be read ({reason(error)}); pass an .npz with 'images' and 'labels'"
        ) from error
    if "webp" not in found:
        return None
    check_chooses(bundle)
    data = ferplus.load(path)
    rows = data.fold == (1 if choosing else 2)
    return _by_votes(data.images[rows], data.votes[rows], bundle)


def need_labeled(path: Path, bundle: Bundle, choosing: bool = False) -> Labeled:
    """As ``read_labeled``; EdgeError where there are no labels."""
    if not path.exists():
        raise EdgeError(f"{path} does not exist; pass an .npz with 'images' and 'labels'")
    data = read_labeled(path, bundle, choosing)
    if data is None:
        raise EdgeError(f"{path} holds no labeled faces; pass an .npz with 'images' and 'labels'")
    return data


def check_chooses(bundle: Bundle) -> None:
    """EdgeError unless the network chooses one label: each labeled face has one that is right."""
    if not answers.of(bundle.manifest).chooses:
        raise EdgeError(
            f"{bundle.folder} has the output {bundle.manifest.output}, but of labeled faces each has "
            "one right label; measure it on the lines of emotion-edge run --jsonl instead"
        )


def _by_votes(images: npt.NDArray[np.uint8], votes: npt.NDArray[np.uint8], bundle: Bundle) -> Labeled:
    own = canonical(bundle.labels)
    places = np.array([own.index(name) if name in own else -1 for name in ferplus.LABELS] + [-1])
    return Labeled(images, places[ferplus.majority(votes)])


def _labeled(
    path: Path, images: npt.NDArray[Any], labels: npt.NDArray[Any], known: int, in_color: bool
) -> Labeled:
    rgb = in_color and images.ndim == 4 and images.shape[-1] == 3
    faces, whole = images.dtype == np.uint8 and (images.ndim == 3 or rgb), labels.dtype.kind in "iu"
    kinds = "faces uint8 (N,S,S,3) RGB or (N,S,S) gray" if in_color else "gray faces uint8 (N,S,S)"
    if not faces or not whole or labels.shape != images.shape[:1]:
        raise EdgeError(
            f"{path}: images {images.dtype} {images.shape} and labels {labels.dtype} {labels.shape}; "
            f"expected {kinds} and labels (N,) of integers"
        )
    if len(labels) and not -1 <= labels.min() <= labels.max() < known:
        raise EdgeError(
            f"{path}: labels from {labels.min()} to {labels.max()}; expected 0 to {known - 1}, places in the "
            "bundle's list of labels, or -1 for none"
        )
    return Labeled(images, labels.astype(np.int64))


def _groups(path: Path, groups: npt.NDArray[Any] | None, faces: int) -> npt.NDArray[Any] | None:
    if groups is not None and (groups.shape != (faces,) or groups.dtype.kind not in "iuU"):
        raise EdgeError(
            f"{path}: groups {groups.dtype} {groups.shape}, expected ({faces},) of integers or text, the "
            "person or sequence of each face"
        )
    return groups
