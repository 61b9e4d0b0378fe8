"""From the data file to the reference bundle, in one resumable command."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from calibration import degrade, ranges
from calibration.sequences import GENERATOR_VERSION, SequenceRecipe, generate
from edge.bundle import Bundle
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.manifest import BundleFile, Explanation, Manifest
from edge.preprocess import normalize
from edge.system.atomic_write import atomic_write
from edge.system.hashing import sha256
from edge.system.ort_session import onnxruntime
from edge.system.process import keep_large_buffers
from edge.version import __version__
from export.bundle.golden import add_golden
from export.bundle.options import FP32
from export.bundle.write import write_bundle
from export.card import card, per_frame
from export.data import ferplus
from export.data.labeled import Labeled
from export.graph.states import tensors
from export.graph.to_onnx import export_step
from export.int8.quantize import FILES, add_precisions
from export.metrics import accuracy
from export.parity.proof import STEPS, prove
from export.parity.references import every_step
from export.train.batches import INPUT, FrameRecipe
from export.train.compare import measured, row, title
from export.train.encoders import NAMED, folder_name
from export.train.frames import processor, together, train_frames
from export.train.networks import StreamingNetwork
from export.train.seeds import best, spread
from export.train.sequences import SequenceTrainingRecipe
from export.train.stages import frame_networks, with_heads
from export.train.teachers import Teacher, load_teacher
from export.train.teachers import name as teacher_name

LICENSE = (
    "research and demonstration only: the training faces were collected from the web without an image licence"
)
VERSION = "0.2.1"  # of the reference model: another one for every network that ships
PER_FRAME = "per-frame.npz"
_CALIBRATION_SEQUENCES = 24
_MADE_WITH: Any = (torch, np, onnx, onnxruntime())


def train(
    data_file: Path,
    work: Path,
    out: Path,
    frames: FrameRecipe,
    over_time: SequenceTrainingRecipe,
    together_epochs: int = 0,
    fine_tune_epochs: int = 0,
    seeds: int = 1,
    clips: Sequence[Path] = (),
    detector: str = "",
    trial: bool = False,
    teacher: Path | None = None,
) -> bool:
    """Train all stages with checkpoints in ``work``, measure, and write the bundle to ``out``.

    The network is trained from ``seeds`` seeds, of which the one that is best on the development fold ships;
    ``teacher`` answers beside the voters (``frames.distil`` of the target); ``together_epochs`` and
    ``fine_tune_epochs`` are those of ``frame_networks``, ``clips`` and ``detector`` those of ``card.write``.
    A ``trial`` is measured on the development fold. Returns whether every precision could be listed.
    """
    card.check_before(out, clips, detector)
    keep_large_buffers(2**31 - 1)
    data = ferplus.load(data_file, trial)
    _one_origin(work, data_file)
    frames, teach = taught(frames, teacher)
    if together_epochs:
        frames = replace(frames, noisy_epochs=0)  # what rounding does is for the last stage to learn
    recipes = [replace(frames, seed=seed) for seed in range(frames.seed, frames.seed + seeds)]
    trained = frame_networks(data, recipes, together_epochs, fine_tune_epochs, work, teacher=teach)
    candidates = [
        with_heads(data, recipe, network, replace(over_time, seed=recipe.seed), folder)
        for recipe, (network, folder) in zip(recipes, trained, strict=True)
    ]
    chosen = best(candidates, data)
    training = {
        "data_sha256": sha256(data_file),
        "encoder": frames.encoder,
        "frames": asdict(chosen.frames),
        "together": asdict(together(chosen.frames, together_epochs)) if together_epochs else None,
        "fine_tune_epochs": fine_tune_epochs,
        "sequences": asdict(chosen.over_time),
        "generator_version": GENERATOR_VERSION,
        "made_with": {"emotion-edge": __version__, **{lib.__name__: lib.__version__ for lib in _MADE_WITH}},
        "device": processor().type,
        "dev_share": ferplus.DEV_SHARE,
        "trial": trial,
        "over_seeds": spread(candidates, data),
    }

    precisions: set[str] = set()

    def fill(folder: Path) -> Bundle:
        bundle = _export(folder, chosen.model, data)
        precisions.update(bundle.precisions)
        head = chosen.per_frame.head.output
        assert isinstance(head, nn.Linear)
        per_frame.save(head, folder / PER_FRAME)
        manifest = replace(bundle.manifest, per_frame=BundleFile(PER_FRAME))
        return card.write(Bundle(folder, manifest, {"training": training}), data, clips, detector)

    write_bundle(out, fill)
    print(f"wrote {out}", file=sys.stderr)
    complete = precisions.issuperset(FILES.values())
    if not complete:
        print("a precision was left out; more --fine-tune epochs adapt the network", file=sys.stderr)
    return complete


def taught(recipe: FrameRecipe, teacher: Path | None) -> tuple[FrameRecipe, Teacher | None]:
    """``recipe`` with the teacher's share and name in it, and the teacher."""
    if teacher is None:
        return replace(recipe, distil=0.0), None
    return replace(recipe, teacher=teacher_name(teacher)), load_teacher(teacher)


def _one_origin(work: Path, data_file: Path) -> None:
    """Refuse checkpoints in ``work`` that were made from other data."""
    note, origin = work / "origin.txt", f"{sha256(data_file)}\n"
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgeError(f"cannot make {work} ({error.strerror}); pass another --work folder") from error
    if not note.exists():
        atomic_write(note, origin.encode())
    elif note.read_text("utf-8").split()[:1] != origin.split():
        raise EdgeError(f"{work} holds checkpoints made from other data; pass another --work folder")


def _manifest(model: StreamingNetwork) -> Manifest:
    return Manifest(
        name="reference",
        version=VERSION,
        license=LICENSE,
        labels=ferplus.LABELS,
        input=INPUT,
        state=tensors(model.state),
        explanations=tuple(Explanation(name, shape) for name, shape in model.extra.items()),
        step_hz=10,
        trained_window=SequenceRecipe().steps,
        warm_steps=5,
        reset_after_s=1.0,
        files={"fp32": BundleFile(FP32)},
    )


def _export(folder: Path, model: StreamingNetwork, data: ferplus.FerPlus) -> Bundle:
    """A bundle in the making with every precision that passes, fitted on the development fold."""
    manifest, rng = _manifest(model), np.random.default_rng(3)
    face = (INPUT.channels, INPUT.size, INPUT.size)
    export_step(model, manifest.state, face, folder / FP32)
    engine = OrtEngine(folder / FP32, threads=2)
    faces = rng.standard_normal((4, STEPS, *face)).astype(np.float32)
    manifest = replace(manifest, proof=prove(engine, manifest.state, faces, every_step(model)))
    bundle = add_golden(Bundle(folder, manifest), engine)

    dev = data.fold == 1
    labeled = Labeled(data.images[dev], ferplus.majority(data.votes[dev]))
    logits = accuracy.still_logits(engine, bundle, labeled.images)[:, -1]
    temperature = accuracy.fit_temperature(logits, labeled.labels)
    strange = np.stack([degrade.no_face(image, rng) for image in labeled.images])
    strange_logits = accuracy.still_logits(engine, bundle, strange)[:, -1]
    threshold = accuracy.fit_threshold(logits, labeled.labels, temperature, strange_logits)
    if threshold == accuracy.HIGHEST_THRESHOLD:
        print("no threshold meets both goals on the development fold; the highest is used", file=sys.stderr)

    rows = data.fold == 0
    images, labels = data.images[rows], ferplus.majority(data.votes[rows])
    shown = [generate(images, labels, rng, SequenceRecipe()).crops for _ in range(_CALIBRATION_SEQUENCES)]
    step = onnx.load(str(folder / FP32))
    histograms = ranges.observe(step, manifest.state, [normalize(part, INPUT) for part in shown])
    manifest = replace(
        bundle.manifest,
        temperature=temperature,
        abstain_below=threshold,
        calibration={"method": "minmax", "steps": sum(map(len, shown))},
    )
    table = ranges.summarize(histograms, "minmax")
    return add_precisions(Bundle(folder, manifest), step, table, list(FILES), data=labeled)


def compare_encoders(
    data_file: Path, work: Path, names: list[str], recipe: FrameRecipe, teacher: Path | None = None
) -> None:
    """Equal training of several encoders; one table row each on standard output, and in ``result.json``."""
    keep_large_buffers(2**31 - 1)
    data = ferplus.load(data_file)
    work = work / "encoders"
    _one_origin(work, data_file)
    recipe, teach = taught(recipe, teacher)
    print(title())
    for name in names:
        suffix = f"-taught-{recipe.teacher}" if teach else ""
        folder = work / f"{folder_name(name)}-{recipe.epochs}{suffix}"
        folder.mkdir(parents=True, exist_ok=True)
        network = train_frames(data, replace(recipe, encoder=name), folder, teacher=teach)
        result = measured(network, data, folder)
        told = {"encoder": NAMED.get(name, name), **result, "recipe": asdict(recipe)}
        atomic_write(folder / "result.json", f"{json.dumps(told, indent=1)}\n".encode())
        print(row(name, result), flush=True)
