"""From the data file to the reference bundle, in one resumable command."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from calibration import degrade, ranges
from calibration.sequences import GENERATOR_VERSION, SequenceRecipe, generate
from edge import __version__
from edge.bundle import Bundle, sha256
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.faces.crop import normalise_crops
from edge.system import atomic_write
from export.bundle.golden import golden_sequences
from export.bundle.write import write_bundle
from export.card import card
from export.data import ferplus
from export.graph.to_onnx import export_step, rolled
from export.int8.gate import Labelled
from export.int8.quantize import add_precisions
from export.metrics import accuracy, per_frame
from export.parity.proof import STEPS, prove
from export.train.batches import INPUT, FrameRecipe
from export.train.frames import processor, together, train_frames
from export.train.networks import StreamingNetwork
from export.train.seeds import best, spread
from export.train.sequences import SequenceTrainingRecipe
from export.train.stages import frame_networks, with_heads

LICENSE = (
    "research and demonstration only: the training faces were collected from the web without an image licence"
)
VERSION = "0.2.0"  # of the reference model: another one for every network that ships
_CALIBRATION_SEQUENCES = 24
_MADE_WITH: Any = (torch, np, onnx, onnxruntime)


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
) -> bool:
    """Train all stages with checkpoints in ``work``, measure, and write the bundle to ``out``.

    The network is trained from ``seeds`` seeds, of which the one that is best on the development fold ships;
    ``together_epochs`` and ``fine_tune_epochs`` are those of ``frame_networks``, ``clips`` and ``detector``
    those of ``card.write``. A ``trial`` is measured on the development fold. Returns whether every precision
    could be listed.
    """
    card.check_before(out, clips, detector)
    _keep_memory()
    data = ferplus.load(data_file, trial)
    _one_origin(work, data_file)
    if together_epochs:
        frames = replace(frames, noisy_epochs=0)  # what rounding does is for the last stage to learn
    recipes = [replace(frames, seed=seed) for seed in range(frames.seed, frames.seed + seeds)]
    trained = frame_networks(data, recipes, together_epochs, fine_tune_epochs, work)
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

    listed: list[bool] = []

    def fill(folder: Path) -> dict[str, Any]:
        bundle = Bundle(folder, {**_manifest(chosen.model), "training": training})
        listed.extend(_export(bundle, chosen.model, data))
        per_frame.save(chosen.per_frame.head, folder / bundle.manifest["per_frame"]["path"])
        card.write(bundle, data, clips, detector)
        return bundle.manifest

    write_bundle(out, fill)
    print(f"wrote {out}", file=sys.stderr)
    if not all(listed):
        print("more epochs of --fine-tune adapt the network to INT8", file=sys.stderr)
    return all(listed)


def _one_origin(work: Path, data_file: Path) -> None:
    """Refuse checkpoints in ``work`` that were made from other data."""
    note, origin = work / "origin.txt", f"{sha256(data_file)}\n"
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgeError(f"cannot make {work} ({error.strerror}); pass another --work folder") from error
    if not note.exists():
        atomic_write.replace(note, origin.encode())
    elif note.read_text("utf-8").split()[:1] != origin.split():
        raise EdgeError(f"{work} holds checkpoints made from other data; pass another --work folder")


def _keep_memory() -> None:
    """Have glibc keep large buffers: giving each one back to the kernel costs a third of the time."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library: slower, not wrong
        return
    trim_threshold, mmap_threshold = -1, -3
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(mmap_threshold, 2**30)


def _manifest(model: StreamingNetwork) -> dict[str, Any]:
    return {
        "format": 1,
        "name": "reference",
        "version": VERSION,
        "license": LICENSE,
        "labels": list(ferplus.LABELS),
        "input": {**INPUT["input"], "crop": {"scale": 1.0, "align": "eyes"}},
        "state": [{"input": n, "output": f"new_{n}", "shape": list(s)} for n, s in model.state.items()],
        "explanations": [{"output": n, "shape": list(s)} for n, s in model.extra.items()],
        "step_hz": 10,
        "trained_window": SequenceRecipe().steps,
        "warm_steps": 5,
        "reset_after_s": 1.0,
        "temperature": 1.0,
        "abstain_below": 0.0,
        "files": {"fp32": {"path": "model.fp32.onnx"}},
        "golden": {"path": "golden.npz"},
        "per_frame": {"path": "per-frame.npz"},
    }


def _export(bundle: Bundle, model: StreamingNetwork, data: ferplus.FerPlus) -> list[bool]:
    """Files and manifest of every precision; temperature and threshold are fitted on the development fold.

    Returns which of the quantized ones could be listed.
    """
    manifest, size = bundle.manifest, INPUT["input"]["size"]
    rng = np.random.default_rng(3)
    fp32 = bundle.folder / "model.fp32.onnx"
    export_step(model, model.state, (1, size, size), fp32)
    engine = OrtEngine(fp32, threads=2)
    faces = rng.standard_normal((4, STEPS, 1, size, size)).astype(np.float32)
    manifest["proof"] = prove(engine, model.state, faces, rolled(model, model.state))
    crops, logits = golden_sequences(engine, bundle)
    np.savez_compressed(bundle.folder / "golden.npz", crops=crops, logits=logits)

    dev = data.fold == 1
    labelled = Labelled(data.images[dev], ferplus.majority(data.votes[dev]))
    dev_logits = accuracy.still_logits(engine, bundle, labelled.images)[:, -1]
    manifest["temperature"] = accuracy.fit_temperature(dev_logits, labelled.labels)
    strange = np.stack([degrade.no_face(image, rng) for image in labelled.images])
    manifest["abstain_below"] = accuracy.fit_threshold(
        dev_logits,
        labelled.labels,
        manifest["temperature"],
        accuracy.still_logits(engine, bundle, strange)[:, -1],
    )
    if manifest["abstain_below"] == accuracy.HIGHEST_THRESHOLD:
        print("no threshold reaches what was wanted of it on the development fold", file=sys.stderr)

    rows = data.fold == 0
    images, labels = data.images[rows], ferplus.majority(data.votes[rows])
    shown = [generate(images, labels, rng, SequenceRecipe()).crops for _ in range(_CALIBRATION_SEQUENCES)]
    step = onnx.load(str(fp32))
    seen = ranges.observe(step, model.state, [normalise_crops(part, manifest) for part in shown])
    manifest["calibration"] = {"method": "minmax", "steps": sum(map(len, shown))}
    table = ranges.summarise(seen, "minmax")
    return add_precisions(bundle, step, table, ("cpu", "trt", "fp16"), data=labelled)


def compare_encoders(data_file: Path, work: Path, names: list[str], epochs: int) -> None:
    """Short, equal training of several encoders; one table row each on standard output."""
    from export.train.compare import row, title

    _keep_memory()
    data = ferplus.load(data_file)
    work = work / "encoders"
    _one_origin(work, data_file)
    print(title())
    for name in names:
        folder = work / f"{name}-{epochs}"
        folder.mkdir(parents=True, exist_ok=True)
        recipe = replace(FrameRecipe(), encoder=name, epochs=epochs, calm=0.0, no_faces=0.0)
        print(row(name, train_frames(data, recipe, folder), data, folder), flush=True)
