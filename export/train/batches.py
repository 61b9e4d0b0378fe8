"""Batches of augmented faces with their targets, made ahead of the training step by threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from calibration.degrade import augment, no_face, nudge
from edge.manifest import FaceInput
from edge.preprocess import normalize
from export.data.ferplus import LABELS

INPUT = FaceInput(size=48, channels=1, normalization="standardize")
_AHEAD = 32  # batches


@dataclass(frozen=True)
class FrameRecipe:
    """Hyper-parameters of the frame stage."""

    encoder: str = "plain-m"
    epochs: int = 40
    calm: float = 0.2  # share of the faces that are shown almost as they are, without a camera's faults
    noisy_epochs: int = 8  # the last ones, with the error of 8-bit rounding on every activation
    rounded_epochs: int = 0  # the last ones, with the rounding itself in the graph
    batch: int = 128
    peak_lr: float = 0.15
    weight_decay: float = 5e-4
    balance: float = 0.25  # sampling weight of a class = frequency ** -balance
    ema: float = 0.998  # per step; the averaged weights are the ones that are kept
    no_faces: float = 0.04  # share of pictures without a face, whose target is every class alike
    distil: float = 0.0  # share of the answers of other networks in the target
    teacher: str = ""  # which network gives them for the very views that are shown, see teachers.py
    seed: int = 11


def class_weights(targets: npt.NDArray[np.float32], balance: float) -> npt.NDArray[np.float64]:
    """Sampling weight (N,) of each row of ``targets`` (N,K): the frequency of its class, to -``balance``."""
    labels = targets.argmax(axis=1)
    frequency = np.bincount(labels, minlength=len(LABELS)) / len(labels)
    weights = np.maximum(frequency, 1e-6)[labels] ** -balance
    return weights / weights.sum()


def batches(
    images: npt.NDArray[np.uint8],
    targets: npt.NDArray[np.float32],
    answers: npt.NDArray[np.float32] | None,
    weights: npt.NDArray[np.float64],
    recipe: FrameRecipe,
    epoch: int,
    teacher: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented faces (B,1,S,S) and targets (B,K), made ahead by threads.

    A batch depends on seed, epoch, its number and the answers only: those to each still, or those that
    ``teacher`` gives to the view. A picture without a face keeps its own target.
    """
    steps = len(images) // recipe.batch
    order = np.random.default_rng((recipe.seed, epoch)).choice(len(images), steps * recipe.batch, p=weights)

    def make(number: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((recipe.seed, epoch, 1 + number))
        rows = order[number * recipe.batch : (number + 1) * recipe.batch]
        wanted = targets[rows]
        if answers is not None:
            wanted = (1 - recipe.distil) * wanted + recipe.distil * answers[rows]
        shown = [nudge if rng.random() < recipe.calm else augment for _ in rows]
        crops = np.stack([show(images[row], rng) for show, row in zip(shown, rows, strict=True)])
        strange = np.flatnonzero(rng.random(len(crops)) < recipe.no_faces)
        for at in strange:
            crops[at] = no_face(crops[at], rng)
        faces = torch.from_numpy(normalize(crops, INPUT))
        if teacher:
            told: npt.NDArray[np.float32] = teacher(faces).numpy()
            wanted = (1 - recipe.distil) * wanted + recipe.distil * told
        wanted[strange] = 1 / wanted.shape[1]
        return faces, torch.from_numpy(wanted)

    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2)) as threads:
        ahead: deque[Future[tuple[Tensor, Tensor]]] = deque()
        for number in range(steps):
            ahead.append(threads.submit(make, number))
            if len(ahead) > _AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
