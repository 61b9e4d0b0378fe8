"""The stages of training one network, each in a folder whose name says what it builds upon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from export.data.ferplus import FerPlus
from export.train import checkpoint
from export.train.batches import FrameRecipe
from export.train.frames import answer, fine_tune, together, train_frames, training_rows
from export.train.networks import FrameClassifier, StreamingNetwork
from export.train.seeds import Candidate
from export.train.sequences import SequenceTrainingRecipe, fingerprint, train_sequences
from export.train.teachers import Teacher


def frame_networks(
    data: FerPlus,
    recipes: Sequence[FrameRecipe],
    together_epochs: int,
    fine_tune_epochs: int,
    work: Path,
    train: Callable[..., FrameClassifier] = train_frames,
    teacher: Teacher | None = None,
) -> list[tuple[FrameClassifier, Path]]:
    """A network by each of ``recipes``, which differ in their seed, and the folder of its last checkpoint.

    First each learns from the votes, and from what ``teacher`` says of each view. In ``together_epochs`` they
    then learn the mean answer of all (Furlanello et al., Born-Again Neural Networks, ICML 2018, with an
    ensemble for the teacher).
    ``fine_tune_epochs`` of quantization-aware training come last. 0 leaves a stage out.
    """
    folders = [work / f"seed-{recipe.seed}" for recipe in recipes]
    first = partial(train, teacher=teacher) if teacher else train
    networks = [first(data, *each) for each in zip(recipes, folders, strict=True)]
    if together_epochs:
        name = f"together-{fingerprint(*networks)}-{together_epochs}"
        answers = _answers(data, networks, work / name)
        folders = [folder / name for folder in folders]
        networks = [
            train(data, together(recipe, together_epochs), folder, network, answers)
            for recipe, folder, network in zip(recipes, folders, networks, strict=True)
        ]
    if fine_tune_epochs:
        folders = [folder / f"fine-tuned-{fine_tune_epochs}" for folder in folders]
        networks = [
            fine_tune(data, network, recipe, fine_tune_epochs, folder)
            for recipe, folder, network in zip(recipes, folders, networks, strict=True)
        ]
    return list(zip(networks, folders, strict=True))


def _answers(data: FerPlus, networks: Sequence[FrameClassifier], folder: Path) -> npt.NDArray[np.float32]:
    """What ``networks`` say on average of the training rows; minutes of work, so kept in ``folder``."""
    path = folder / "answers.npz"
    if not path.is_file():
        folder.mkdir(exist_ok=True)
        checkpoint.save_arrays(path, answers=answer(networks, data.images[training_rows(data)]))
    return checkpoint.load_arrays(path)["answers"]


def with_heads(
    data: FerPlus,
    frames: FrameRecipe,
    network: FrameClassifier,
    over_time: SequenceTrainingRecipe,
    folder: Path,
) -> Candidate:
    """``network`` frozen, with a head over time and, to compare it with, one without memory."""

    def with_head(recipe: SequenceTrainingRecipe) -> StreamingNetwork:
        torch.manual_seed(recipe.seed)  # the first weights, too, are those of an unbroken run
        model = StreamingNetwork(frames.encoder, recipe.family, recipe.hidden)
        model.encoder.load_state_dict(network.encoder.state_dict())
        return train_sequences(data, model.eval(), recipe, folder)

    return Candidate(frames, over_time, with_head(over_time), with_head(replace(over_time, family="cnn")))
