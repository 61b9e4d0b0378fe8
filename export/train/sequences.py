"""Train the recurrent head on generated sequences over the frozen frame encoder's features."""

from __future__ import annotations

import copy
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from calibration.degrade import no_face
from calibration.sequences import GENERATOR_VERSION, SequenceRecipe, generate
from edge.system.progress import with_progress
from export.data.ferplus import LABELS, FerPlus, majority, soft_targets
from export.metrics.accuracy import STILL_STEPS
from export.parity.references import unroll
from export.train import checkpoint
from export.train.frames import accuracy, predict
from export.train.networks import StreamingNetwork


@dataclass(frozen=True)
class SequenceTrainingRecipe:
    """Hyper-parameters of the recurrent stage."""

    sequences: int = 16000
    dev_sequences: int = 500
    family: str = "cnn-gru"
    hidden: int = 96
    epochs: int = 8
    batch: int = 64
    stills: int = 128  # stills held for eight steps, in each batch beside the sequences
    no_faces: float = 0.04  # share of them that show no face, whose target is every class alike
    peak_lr: float = 3e-3
    input_dropout: float = 0.1
    seed: int = 1


@dataclass(frozen=True)
class FeatureSet:
    """Encoder features (M,T,F), soft targets (M,T,K) and majority labels (M,T) of M sequences."""

    features: Tensor
    targets: Tensor
    labels: npt.NDArray[np.int64]


def feature_set(
    data: FerPlus, fold: int, count: int, model: StreamingNetwork, folder: Path, seed: int
) -> FeatureSet:
    """Generate ``count`` sequences from one fold and encode them; kept in ``folder`` for the next run."""
    kind = "maps" if model.head.wants_maps else "sequences"
    name = f"{kind}-v{GENERATOR_VERSION}-fold{fold}-{count}-seed{seed}-{fingerprint(model.encoder)}"
    cache = folder / f"{name}.npz"
    rows = data.fold == fold
    images, votes = data.images[rows], data.votes[rows]
    labels = majority(votes)
    if cache.is_file():
        saved = checkpoint.load_arrays(cache)
        features, still = saved["features"], saved["still"]
    else:
        rng = np.random.default_rng((seed, fold))
        parts = []
        for _ in with_progress(range(count), count, f"sequences of fold {fold}"):
            sequence = generate(images, labels, rng, SequenceRecipe())
            parts.append((features_of(model, sequence.crops), sequence.still))
        features, still = (np.stack(column) for column in zip(*parts, strict=True))
        checkpoint.save_arrays(cache, features=features, still=still)
    targets = soft_targets(votes)[0][still]
    return FeatureSet(torch.from_numpy(features), torch.from_numpy(targets), labels[still])


def fingerprint(*networks: nn.Module) -> str:
    """Short hash of the weights: results of other weights must not be taken for theirs."""
    weights = b"".join(value.numpy().tobytes() for one in networks for value in one.state_dict().values())
    return hashlib.sha256(weights).hexdigest()[:12]


def features_of(model: StreamingNetwork, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What the head of ``model`` takes, for gray stills (N,H,W)."""
    return predict(model, images, model.features)


def train_sequences(
    data: FerPlus, model: StreamingNetwork, recipe: SequenceTrainingRecipe, folder: Path
) -> StreamingNetwork:
    """Train ``model.head`` with the encoder frozen, or resume from ``folder``.

    The epoch that is best on the development fold is kept.
    """
    head, best = model.head, copy.deepcopy(model.head)
    steps = recipe.sequences // recipe.batch
    optimizer = torch.optim.AdamW(head.parameters(), recipe.peak_lr, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.peak_lr, total_steps=steps * recipe.epochs, pct_start=0.15
    )
    parts = {"head": head, "best": best, "optimizer": optimizer, "schedule": schedule}
    path = folder / f"head-{recipe.family}.pt"
    first = checkpoint.resume(path, parts, recipe)
    if first < recipe.epochs:
        train = feature_set(data, 0, recipe.sequences, model, folder, recipe.seed)
        stills, targets = _stills(data, model, 0, recipe.no_faces)
        development = _development_score(data, model, recipe, folder)
        top = development(best).sum if first else -1.0

    for epoch in range(first, recipe.epochs):
        torch.manual_seed(1000 * recipe.seed + epoch)  # a resumed run draws the same as an unbroken one
        head.train()
        order = torch.randperm(len(train.features))
        for rows in order[: steps * recipe.batch].reshape(steps, recipe.batch):
            pick = torch.randint(len(stills), (recipe.stills,))
            held = _hold(stills[pick], STILL_STEPS)
            loss = _loss(head, train.features[rows], train.targets[rows], recipe.input_dropout)
            loss = loss + _loss(
                head, held, targets[pick][:, None].expand(-1, STILL_STEPS, -1), recipe.input_dropout
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        score = development(head)
        print(f"head epoch {epoch + 1}/{recipe.epochs}  {score}", file=sys.stderr, flush=True)
        if score.sum > top:
            top = score.sum
            best.load_state_dict(head.state_dict())
        checkpoint.save(path, parts, recipe, epoch + 1)
    head.load_state_dict(best.state_dict())
    return model.eval()


@dataclass(frozen=True)
class _Score:
    """Accuracy per step of sequences, accuracy and UAR on stills, all on the development fold."""

    over_time: float
    stills: float
    uar: float

    @property
    def sum(self) -> float:
        return self.over_time + self.stills

    def __str__(self) -> str:
        return f"dev accuracy per step {self.over_time:.4f}  stills {self.stills:.4f}  UAR {self.uar:.4f}"


def _development_score(
    data: FerPlus, model: StreamingNetwork, recipe: SequenceTrainingRecipe, folder: Path
) -> Callable[[nn.Module], _Score]:
    dev = feature_set(data, 1, recipe.dev_sequences, model, folder, recipe.seed)
    rows = data.fold == 1
    stills, labels = torch.from_numpy(features_of(model, data.images[rows])), majority(data.votes[rows])

    def score(head: nn.Module) -> _Score:
        head.eval()
        over_time, _ = accuracy(roll(head, dev.features).reshape(-1, len(LABELS)), dev.labels.reshape(-1))
        return _Score(over_time, *accuracy(still_logits(head, stills), labels))

    return score


@torch.inference_mode()
def roll(head: nn.Module, features: Tensor) -> npt.NDArray[np.float32]:
    """Logits (M,T,K) of sequences (M,T,F) from the zero state."""
    return unroll(head, features).numpy()


def still_logits(head: nn.Module, features: Tensor, steps: int = STILL_STEPS) -> npt.NDArray[np.float32]:
    """Logits (M,K) of stills (M,F) after ``steps`` equal steps from the zero state."""
    return roll(head, _hold(features, steps))[:, -1]


def _hold(features: Tensor, steps: int) -> Tensor:
    """Features (M,...) for ``steps`` equal steps (M,steps,...)."""
    return features[:, None].expand(-1, steps, *features.shape[1:])


def _loss(head: nn.Module, features: Tensor, targets: Tensor, dropout: float) -> Tensor:
    features = torch.nn.functional.dropout(features, dropout)
    return cross_entropy(unroll(head, features).flatten(0, 1), targets.flatten(0, 1))


def _stills(data: FerPlus, model: StreamingNetwork, fold: int, no_faces: float) -> tuple[Tensor, Tensor]:
    """Features and targets of the stills of a fold that voters could name; a share show no face."""
    targets, usable = soft_targets(data.votes)
    rows = (data.fold == fold) & usable
    images, wanted = data.images[rows], targets[rows]
    rng = np.random.default_rng(fold)
    for at in np.flatnonzero(rng.random(len(images)) < no_faces):
        images[at], wanted[at] = no_face(images[at], rng), 1 / wanted.shape[1]
    return torch.from_numpy(features_of(model, images)), torch.from_numpy(wanted)
