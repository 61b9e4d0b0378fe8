"""The same recipe from several seeds: which network ships, and how far the figures scatter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from export.data.ferplus import LABELS, FerPlus, majority
from export.metrics.intervals import RESAMPLES, middle, wilson_of_mean
from export.metrics.set_report import FIGURES
from export.train.batches import FrameRecipe
from export.train.frames import accuracy
from export.train.networks import StreamingNetwork
from export.train.sequences import SequenceTrainingRecipe, features_of, still_logits


@dataclass(frozen=True)
class Candidate:
    """A trained network, its head without memory, and how both were made."""

    frames: FrameRecipe
    over_time: SequenceTrainingRecipe
    model: StreamingNetwork
    per_frame: StreamingNetwork

    def answers(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Logits (N,K) of stills (N,S,S)."""
        return still_logits(self.model.head, torch.from_numpy(features_of(self.model, images)))


def best(candidates: Sequence[Candidate], data: FerPlus) -> Candidate:
    """The candidate with the most correct stills of the development fold.

    Not the one with the best mean recall, which depends on a handful of faces of the rare classes.
    """
    dev = data.fold == 1
    labels = majority(data.votes[dev])
    return max(candidates, key=lambda one: accuracy(one.answers(data.images[dev]), labels)[0])


def spread(candidates: Sequence[Candidate], data: FerPlus) -> dict[str, Any]:
    """Accuracy, UAR and recalls on the report fold: each seed's, and the mean with its interval."""
    rows = data.fold == data.report
    images, labels = data.images[rows], majority(data.votes[rows])
    known = labels >= 0
    wanted = labels[known]
    right = np.stack([one.answers(images)[known].argmax(axis=1) == wanted for one in candidates])
    return {
        "seeds": [one.frames.seed for one in candidates],
        "accuracy": _interval(right, wanted, "war"),
        "uar": _interval(right, wanted, "uar"),
        "recall": {
            LABELS[k]: _interval(right[:, wanted == k], wanted[wanted == k], "war") for k in np.unique(wanted)
        },
    }


def _interval(right: npt.NDArray[np.bool_], wanted: npt.NDArray[np.int64], kind: str) -> dict[str, Any]:
    """Of ``right`` (seeds, faces): draws of seeds and, within each draw, of the same faces for all seeds."""
    figure, rng = FIGURES[kind], np.random.default_rng(0)
    seeds, faces = right.shape
    drawn = []
    for _ in range(RESAMPLES):
        at = rng.integers(0, faces, (faces,))
        chosen = rng.integers(0, seeds, (seeds,))
        drawn.append(np.mean([figure(right[k][at], wanted[at]) for k in chosen]))
    each = [figure(row, wanted) for row in right]
    mean = float(np.mean(each))
    certain = mean in (0.0, 1.0)  # no draw differs, which is no certainty
    counts = np.unique(wanted, return_counts=True)[1].tolist() if kind == "uar" else [faces]
    return {
        "n": faces,
        "each": [round(value, 4) for value in each],
        "mean": round(mean, 4),
        "interval_95": wilson_of_mean(mean, counts) if certain else middle(np.array(drawn, np.float64)),
    }
