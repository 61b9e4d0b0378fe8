"""Normalized faces for long proofs, made when they are looked at: all at once they would fill the memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.collect import Walk
from edge.data import Float32
from edge.manifest import Manifest
from edge.preprocess import normalize_crops


class Faces:
    """Indexed as an array (M,T,C,S,S) float32 is, by rows and steps; holds the crops as uint8.

    16 sequences of 320 faces of 224x224 take 3 GB as float32 with three channels, and 51 MB here where 16
    steps are walked to and fro.
    """

    def __init__(self, walks: Sequence[Walk], manifest: Manifest) -> None:
        self._walks, self._manifest = walks, manifest
        face = manifest.input
        self.shape = (len(walks), len(walks[0].at), face.channels, face.size, face.size)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, at: tuple[Any, Any]) -> Float32:
        """``faces[rows, steps]``; an integer leaves its axis out, a slice or a list keeps it."""
        rows, steps = (_numbers(part, length) for part, length in zip(at, self.shape, strict=False))
        seen = np.concatenate([self._walks[row].crops[self._walks[row].at[steps]] for row in rows])
        faces = normalize_crops(seen, self._manifest).reshape(len(rows), len(steps), *self.shape[2:])
        if isinstance(at[1], int | np.integer):
            faces = faces[:, 0]
        return faces[0] if isinstance(at[0], int | np.integer) else faces


def _numbers(part: Any, length: int) -> npt.NDArray[np.int64]:
    return np.atleast_1d(np.arange(length)[part])
