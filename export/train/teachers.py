"""A trained network that answers the very views a smaller one learns from.

Teacher and student see the same view, for a long time (Beyer et al., Knowledge distillation: A good teacher
is patient and consistent, CVPR 2022).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edge import bundle as bundles
from edge.engines.golden import roll_faces
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.system.hashing import sha256
from export.data.ferplus import LABELS
from export.train import checkpoint
from export.train.batches import INPUT
from export.train.networks import FrameClassifier

Teacher = Callable[[Tensor], Tensor]  # faces (N,1,S,S), standardized, to probabilities (N,K)
_STAGE = "frames.pt"


def load_teacher(path: Path) -> Teacher:
    """What answers beside the voters: a bundle, or the folder of a frame stage that was trained before.

    Of a bundle its first step from the zero state counts. EdgeError where ``path`` is neither, or where its
    labels or its input are others.
    """
    if (path / "manifest.json").is_file():
        return _bundle(path)
    if (path / _STAGE).is_file():
        return _classifier(path / _STAGE)
    raise EdgeError(f"{path} holds neither manifest.json nor {_STAGE}; pass --teacher a bundle or a stage")


def name(path: Path) -> str:
    """Short hash of the teacher's weights, for the recipe: what another one taught must not be resumed."""
    found = [file for file in (path / "model.fp32.onnx", path / _STAGE) if file.is_file()]
    return hashlib.sha256("".join(map(sha256, found)).encode()).hexdigest()[:12]


def _bundle(path: Path) -> Teacher:
    bundle = bundles.load(path)
    face = bundle.manifest.input
    if bundle.labels != LABELS or (face.size, face.channels, face.normalization) != (
        INPUT.size,
        INPUT.channels,
        INPUT.normalization,
    ):
        raise EdgeError(f"{path} has other labels or another input; pass --teacher a bundle of these faces")
    engine = OrtEngine(bundle.model("fp32"), spin=False)

    def answer(faces: Tensor) -> Tensor:
        logits = roll_faces(engine, bundle.state, [faces.numpy()])[:, 0]
        return torch.from_numpy(np.asarray(logits, np.float32) / bundle.manifest.temperature).softmax(dim=1)

    return answer


def _classifier(path: Path) -> Teacher:
    encoder, weights = checkpoint.averaged(path)
    model = FrameClassifier(encoder)
    model.load_state_dict(weights)
    model.eval()

    @torch.inference_mode()
    def answer(faces: Tensor) -> Tensor:
        return model(faces.contiguous(memory_format=torch.channels_last)).softmax(dim=1)

    return answer
