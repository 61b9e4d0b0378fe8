"""Train the frame encoder on stills with soft votes; resumable, seeded, one checkpoint an epoch."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from edge.errors import EdgeError
from edge.preprocess import normalize
from edge.system.progress import with_progress
from export.data.ferplus import FerPlus, majority, soft_targets
from export.metrics.accuracy import uar
from export.train import checkpoint
from export.train.batches import INPUT, FrameRecipe, batches, class_weights
from export.train.networks import FrameClassifier
from export.train.rounding import add_rounding_noise, keep_rounded, round_in_training

_BATCH = 512  # stills


def accuracy(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Accuracy and unweighted average recall over the rows whose label is not -1."""
    rows = labels >= 0
    right = logits[rows].argmax(axis=1) == labels[rows]
    return float(right.mean()), uar(right, labels[rows])


@torch.inference_mode()
def predict(
    model: nn.Module,
    images: npt.NDArray[np.uint8],
    part: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> npt.NDArray[np.float32]:
    """Output (N,...) of ``model``, or of a ``part`` of it, on gray stills (N,H,W) uint8, one view each."""
    model.eval()
    device, forward = next(model.parameters()).device, part or model
    parts = [
        forward(torch.from_numpy(normalize(images[at : at + _BATCH], INPUT)).to(device)).cpu().numpy()
        for at in range(0, len(images), _BATCH)
    ]
    return np.concatenate(parts)


def processor() -> torch.device:
    """An NVIDIA GPU where PyTorch finds one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def answer(networks: Sequence[nn.Module], images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Mean probabilities (N,K) of ``networks`` for gray stills (N,H,W) uint8 and their mirror images."""
    copies = [copy.deepcopy(one).to(processor()) for one in networks]
    logits = [predict(one, side) for one in copies for side in (images, images[:, :, ::-1])]
    return np.mean([torch.from_numpy(one).softmax(dim=1).numpy() for one in logits], axis=0)


def _bf16_is_quicker() -> bool:
    """Whether a convolution there and back takes less time in bfloat16 on this processor.

    It halves the time with AMX and on AMD's Zen 4; on others with AVX-512 it is a third slower.
    """
    if not torch.cpu._is_avx512_bf16_supported():
        return False
    layer = nn.Conv2d(96, 96, 3, padding=1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    faces = torch.zeros(32, 96, 12, 12).contiguous(memory_format=torch.channels_last)

    def seconds(enabled: bool) -> float:
        started = time.process_time()  # of all threads: others may keep the processor busy
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            out = layer(faces).sum()
        out.backward()
        return time.process_time() - started

    taken = [(seconds(False), seconds(True)) for _ in range(5)]
    return min(fast for _, fast in taken) < min(slow for slow, _ in taken)


def training_rows(data: FerPlus) -> npt.NDArray[np.int64]:
    """The rows that train the network: faces of the training fold that voters could name."""
    return np.flatnonzero(soft_targets(data.votes)[1] & (data.fold == 0))


def train_frames(
    data: FerPlus,
    recipe: FrameRecipe,
    folder: Path,
    start: FrameClassifier | None = None,
    answers: npt.NDArray[np.float32] | None = None,
    teacher: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> FrameClassifier:
    """Train, or resume from ``folder/frames.pt``; the returned model carries the averaged weights.

    On an NVIDIA GPU where PyTorch finds one; the checkpoint resumes on either kind of machine.
    ``start`` is the network to go on from; without it, training begins with random weights. ``answers``
    (N,K) are probabilities that other networks gave to the ``training_rows``: ``recipe.distil`` of the target
    (Hinton et al., Distilling the Knowledge in a Neural Network, 2015). They hold whatever fault a face is
    shown with (Xie et al., Self-training with Noisy Student, CVPR 2020). A ``teacher`` answers each view.
    """
    if (answers is None and teacher is None) != (recipe.distil == 0):
        raise ValueError(f"distil is {recipe.distil}; give answers where it is above 0, and only there")
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    cv2.setNumThreads(1)
    pool = training_rows(data)
    if len(pool) < recipe.batch:
        raise EdgeError(
            f"{len(pool)} faces to train on, fewer than a batch of {recipe.batch}; pass --data a larger file"
        )
    images, targets = data.images[pool], soft_targets(data.votes)[0][pool]
    weights = class_weights(targets, recipe.balance)
    dev = data.fold == 1
    dev_images, dev_labels = data.images[dev], majority(data.votes[dev])

    model = copy.deepcopy(start) if start else FrameClassifier(recipe.encoder)
    device = processor()
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
    bf16 = device.type == "cuda" or _bf16_is_quicker()

    for epoch in range(first, recipe.epochs):
        torch.manual_seed(1000 * recipe.seed + epoch)  # a resumed run draws the same as an unbroken one
        model.train()
        if epoch >= recipe.epochs - recipe.rounded_epochs:
            round_in_training(model)
            round_in_training(averaged)
        elif epoch >= recipe.epochs - recipe.noisy_epochs:
            add_rounding_noise(model)
        started, total = time.monotonic(), 0.0
        augmented = batches(images, targets, answers, weights, recipe, epoch, teacher)
        for done, batch in enumerate(with_progress(augmented, steps, f"steps of epoch {epoch + 1}")):
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
        acc, uar = accuracy(predict(averaged, dev_images), dev_labels)
        seconds = time.monotonic() - started
        print(
            f"{folder}: {recipe.encoder} epoch {epoch + 1}/{recipe.epochs}  loss {total / steps:.4f}  "
            f"dev accuracy {acc:.4f}  UAR {uar:.4f}  {seconds:.0f} s",
            file=sys.stderr,
            flush=True,
        )
        checkpoint.save(folder / "frames.pt", parts, recipe, epoch + 1)
    if recipe.rounded_epochs:
        round_in_training(averaged)  # a resumed run may have skipped the loop
    keep_rounded(averaged)
    return averaged.cpu().eval()


def together(recipe: FrameRecipe, epochs: int) -> FrameRecipe:
    """The recipe of ``epochs`` in which networks that ``recipe`` trained learn what all of them say."""
    return replace(
        recipe,
        epochs=epochs,
        noisy_epochs=min(epochs, FrameRecipe.noisy_epochs),
        peak_lr=recipe.peak_lr / 3,  # gentle enough to keep what it knows
        distil=0.7,
        teacher="",
        seed=recipe.seed + 1000,  # other draws than at first
    )


def fine_tune(
    data: FerPlus, classifier: FrameClassifier, recipe: FrameRecipe, epochs: int, folder: Path
) -> FrameClassifier:
    """Quantization-aware fine-tuning on votes alone, at a twentieth of the learning rate of ``recipe``."""
    gentle = replace(
        recipe,
        epochs=epochs,
        noisy_epochs=0,
        distil=0.0,
        teacher="",
        rounded_epochs=epochs,
        peak_lr=recipe.peak_lr / 20,
        seed=recipe.seed + 2000,
    )
    return train_frames(data, gentle, folder, start=classifier)


@torch.no_grad()
def _average(averaged: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Exponential moving average of weights and batch-norm statistics, quicker during the first steps."""
    share = 1 - min(decay, (1 + step) / (10 + step))
    for mean, value in zip(averaged.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, share)
