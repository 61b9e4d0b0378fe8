"""Train the frame encoder on stills with soft votes; resumable, seeded, one checkpoint a epoch."""

from __future__ import annotations

import copy
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from calibration.degrade import augment, no_face
from edge.faces.crop import normalise_crops
from export.training import checkpoint
from export.training.ferplus import LABELS, FerPlus, majority, soft_targets
from export.training.networks import FrameClassifier
from export.training.rounding import add_rounding_noise, keep_rounded, round_in_training
from export.training.views import Views

INPUT: dict[str, Any] = {"input": {"size": 48, "channels": 1, "normalisation": "standardise"}}
_AHEAD = 32  # batches


@dataclass(frozen=True)
class FrameRecipe:
    """Hyper-parameters of the frame stage."""

    encoder: str = "plain-strided"
    epochs: int = 40
    noisy_epochs: int = 8  # the last ones, with the error of 8-bit rounding on every activation
    rounded_epochs: int = 0  # the last ones, with the rounding itself in the graph
    batch: int = 128
    peak_lr: float = 0.15
    weight_decay: float = 5e-4
    balance: float = 0.25  # sampling weight of a class = frequency ** -balance
    ema: float = 0.998  # per step; the averaged weights are the ones that are kept
    no_faces: float = 0.04  # share of pictures without a face, whose target is every class alike
    distil: float = 0.7  # share of the teachers' answer in the target
    views: int = 8  # of each face, that the teachers have answered
    seed: int = 11


def accuracy(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Accuracy and unweighted average recall over the rows whose label is not -1."""
    rows = labels >= 0
    right = logits[rows].argmax(axis=1) == labels[rows]
    recalls = [right[labels[rows] == k].mean() for k in np.unique(labels[rows])]
    return float(right.mean()), float(np.mean(recalls))


@torch.inference_mode()
def predict(model: nn.Module, images: npt.NDArray[np.uint8], batch: int = 512) -> npt.NDArray[np.float32]:
    """Output (N,...) of ``model`` on grey stills (N,H,W) uint8, one view each."""
    model.eval()
    device = next(model.parameters()).device
    parts = [
        model(torch.from_numpy(normalise_crops(images[at : at + batch], INPUT)).to(device)).cpu().numpy()
        for at in range(0, len(images), batch)
    ]
    return np.concatenate(parts)


def answer(teachers: Sequence[nn.Module], images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Mean probabilities (N,K) of ``teachers`` for grey stills (N,H,W) uint8 and their mirror images."""
    logits = [predict(one, side) for one in teachers for side in (images, images[:, :, ::-1])]
    return np.mean([torch.from_numpy(one).softmax(dim=1).numpy() for one in logits], axis=0)


def training_rows(data: FerPlus) -> npt.NDArray[np.int64]:
    """Of the faces that train the network: those of its fold that voters could name."""
    return np.flatnonzero(soft_targets(data.votes)[1] & (data.fold == 0))


def train_frames(
    data: FerPlus,
    recipe: FrameRecipe,
    folder: Path,
    start: FrameClassifier | None = None,
    views: Views | None = None,
) -> FrameClassifier:
    """Train, or resume from ``folder/frames.pt``; the returned model carries the averaged weights.

    On an NVIDIA GPU where PyTorch finds one; the checkpoint resumes on either kind of machine.
    ``start`` is the network to fine-tune; without it, training begins with random weights. Where there are
    ``views`` of the ``training_rows``, ``recipe.distil`` of the target is the teachers' answer to the very
    view that the network sees (Hinton et al., Distilling the Knowledge in a Neural Network, 2015; Beyer et
    al., CVPR 2022); without, each view is a new one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    cv2.setNumThreads(1)
    pool = training_rows(data)
    images, targets = data.images[pool], soft_targets(data.votes)[0][pool]
    weights = _class_weights(targets, recipe.balance)
    dev = data.fold == 1
    dev_images, dev_labels = data.images[dev], majority(data.votes[dev])

    model = copy.deepcopy(start) if start else FrameClassifier(recipe.encoder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = copy.deepcopy(model)
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.SGD(
        [{"params": decay, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=recipe.peak_lr,
        momentum=0.9,
        nesterov=True,
    )
    steps = len(pool) // recipe.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.peak_lr, total_steps=steps * recipe.epochs, pct_start=0.2
    )
    parts = {"model": model, "averaged": averaged, "optimizer": optimizer, "schedule": schedule}
    first = checkpoint.resume(folder / "frames.pt", parts, recipe)
    # halves the time where the processor has it
    bf16 = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()

    for epoch in range(first, recipe.epochs):
        torch.manual_seed(1000 * recipe.seed + epoch)  # a resumed run draws what an unbroken one draws
        model.train()
        if epoch >= recipe.epochs - recipe.rounded_epochs:
            round_in_training(model)
            round_in_training(averaged)
        elif epoch >= recipe.epochs - recipe.noisy_epochs:
            add_rounding_noise(model)
        started, total = time.monotonic(), 0.0
        batches = _batches(images, targets, views, weights, recipe, epoch)
        for done, batch in enumerate(batches):
            faces, wanted = (part.to(device, non_blocking=True) for part in batch)
            faces = faces.contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                loss = cross_entropy(model(faces), wanted)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            _average(averaged, model, recipe.ema, epoch * steps + done)
            total += loss.item()
            if sys.stderr.isatty():
                print(f"\repoch {epoch + 1} step {done + 1}/{steps}", end="", file=sys.stderr)
        acc, uar = accuracy(predict(averaged, dev_images), dev_labels)
        seconds = time.monotonic() - started
        print(
            f"{recipe.encoder} epoch {epoch + 1}/{recipe.epochs}  loss {total / steps:.4f}  "
            f"dev accuracy {acc:.4f}  UAR {uar:.4f}  {seconds:.0f} s",
            file=sys.stderr,
            flush=True,
        )
        checkpoint.save(folder / "frames.pt", parts, recipe, epoch + 1)
    if recipe.rounded_epochs:
        round_in_training(averaged)  # a finished run that is resumed has not passed the loop
    keep_rounded(averaged)
    return averaged.cpu().eval()


def fine_tune(
    data: FerPlus, classifier: FrameClassifier, recipe: FrameRecipe, epochs: int, folder: Path
) -> FrameClassifier:
    """Quantization-aware fine-tuning on votes alone, at a twentieth of the learning rate of ``recipe``."""
    gentle = replace(
        recipe, epochs=epochs, noisy_epochs=0, rounded_epochs=epochs, peak_lr=recipe.peak_lr / 20, distil=0.0
    )
    return train_frames(data, gentle, folder, start=classifier)


@torch.no_grad()
def _average(averaged: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Exponential moving average of weights and batch-norm statistics, quicker during the first steps."""
    share = 1 - min(decay, (1 + step) / (10 + step))
    for mean, value in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, share)


def _class_weights(targets: npt.NDArray[np.float32], balance: float) -> npt.NDArray[np.float64]:
    labels = targets.argmax(axis=1)
    frequency = np.bincount(labels, minlength=len(LABELS)) / len(labels)
    weights = np.maximum(frequency, 1e-6)[labels] ** -balance
    return weights / weights.sum()


def _batches(
    images: npt.NDArray[np.uint8],
    targets: npt.NDArray[np.float32],
    views: Views | None,
    weights: npt.NDArray[np.float64],
    recipe: FrameRecipe,
    epoch: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented faces (B,1,S,S) and targets (B,K), made ahead by threads.

    A batch depends on seed, epoch, its number and the views only.
    """
    steps = len(images) // recipe.batch
    order = np.random.default_rng((recipe.seed, epoch)).choice(len(images), steps * recipe.batch, p=weights)

    def make(number: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((recipe.seed, epoch, 1 + number))
        rows = order[number * recipe.batch : (number + 1) * recipe.batch]
        wanted = targets[rows]
        if views is None:
            crops = np.stack([augment(images[row], rng) for row in rows])
        else:
            crops, answers = views.draw(rows, rng)
            wanted = (1 - recipe.distil) * wanted + recipe.distil * answers
        for at in np.flatnonzero(rng.random(len(crops)) < recipe.no_faces):
            crops[at], wanted[at] = no_face(crops[at], rng), 1 / wanted.shape[1]
        return torch.from_numpy(normalise_crops(crops, INPUT)), torch.from_numpy(wanted)

    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2)) as threads:
        ahead: deque[Future[tuple[Tensor, Tensor]]] = deque()
        for number in range(steps):
            ahead.append(threads.submit(make, number))
            if len(ahead) > _AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
