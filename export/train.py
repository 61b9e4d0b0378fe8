"""From the data file to the reference bundle, in one resumable command."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from calibration import ranges
from calibration.sequences import GENERATOR_VERSION, SequenceRecipe, generate
from edge.bundle import Bundle, sha256
from edge.engines.ort import OrtEngine
from edge.faces.crop import normalise_crops
from edge.recognition.decision import Decision
from edge.recognition.golden import reproduces, roll
from export import evaluate, ferplus
from export.card import model_card
from export.golden import golden_sequences
from export.networks import LABELS, FrameClassifier, StreamingNetwork
from export.proof import STEPS, prove
from export.quantize import write_int8
from export.to_onnx import export_step, rolled
from export.train_frames import INPUT, FrameRecipe, fine_tune, predict, train_frames
from export.train_sequences import SequenceTrainingRecipe, train_sequences
from export.write_bundle import write_bundle

LICENSE = (
    "research and demonstration only: the training faces were collected from the web without an image licence"
)
MAX_INT8_LOSS = 0.005
_CALIBRATION_SEQUENCES, _REPORT_SEQUENCES = 24, 300


def train(
    data_file: Path,
    work: Path,
    out: Path,
    frames: FrameRecipe,
    over_time: SequenceTrainingRecipe,
    fine_tune_epochs: int = 0,
) -> None:
    """Train both stages with checkpoints in ``work`` and write the bundle to ``out``.

    ``fine_tune_epochs`` of quantization-aware training come between them, in a folder of their own.
    """
    _keep_memory()
    data = ferplus.load(data_file)
    classifier = train_frames(data, frames, work)
    if fine_tune_epochs:
        work = work / f"fine-tuned-{fine_tune_epochs}"
        classifier = fine_tune(data, classifier, frames, fine_tune_epochs, work)
    model = StreamingNetwork(frames.encoder, over_time.family, over_time.hidden)
    model.encoder.load_state_dict(classifier.encoder.state_dict())
    model = train_sequences(data, model.eval(), over_time, work)

    def fill(folder: Path) -> dict[str, Any]:
        manifest = _manifest(data_file, frames, over_time, model)
        manifest["training"]["fine_tune_epochs"] = fine_tune_epochs
        return _fill(folder, manifest, model, classifier, data)

    write_bundle(out, fill)
    print(f"wrote {out}", file=sys.stderr)


def _keep_memory() -> None:
    """Have glibc keep large buffers: giving each one back to the kernel costs a third of the time."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library: slower, not wrong
        return
    trim_threshold, mmap_threshold = -1, -3
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(mmap_threshold, 2**30)


def _manifest(
    data_file: Path, frames: FrameRecipe, over_time: SequenceTrainingRecipe, model: StreamingNetwork
) -> dict[str, Any]:
    return {
        "format": 1,
        "name": "reference",
        "version": "0.1.0",
        "license": LICENSE,
        "labels": list(LABELS),
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
        "card": {"path": "model-card.md"},
        "training": {
            "data_sha256": sha256(data_file),
            "encoder": frames.encoder,
            "frames": asdict(frames),
            "sequences": asdict(over_time),
            "generator_version": GENERATOR_VERSION,
            "dev_share": ferplus.DEV_SHARE,
        },
    }


def _fill(
    folder: Path,
    manifest: dict[str, Any],
    model: StreamingNetwork,
    classifier: FrameClassifier,
    data: ferplus.FerPlus,
) -> dict[str, Any]:
    """Export, quantize, fit on the development fold, report on the other; returns the manifest."""
    size = manifest["input"]["size"]
    rng = np.random.default_rng(3)
    fp32 = folder / "model.fp32.onnx"
    export_step(model, model.state, (1, size, size), fp32)
    engine = OrtEngine(fp32, threads=2)
    faces = rng.standard_normal((4, STEPS, 1, size, size)).astype(np.float32)
    manifest["proof"] = prove(engine, model.state, faces, rolled(model, model.state))

    bundle = Bundle(folder, manifest)
    crops, logits = golden_sequences(engine, bundle)
    np.savez_compressed(folder / "golden.npz", crops=crops, logits=logits)

    dev = data.fold == 1
    dev_logits = evaluate.still_logits(engine, bundle, data.images[dev])[:, -1]
    dev_labels = ferplus.majority(data.votes[dev])
    manifest["temperature"] = evaluate.fit_temperature(dev_logits, dev_labels)
    manifest["abstain_below"] = evaluate.fit_threshold(dev_logits, dev_labels, manifest["temperature"])

    precisions = {"fp32": _report(engine, bundle, data)}
    int8 = _quantize(folder, manifest, model, data, rng)
    precisions["int8-cpu"] = _report(int8, bundle, data)
    lost = precisions["fp32"]["accuracy"] - precisions["int8-cpu"]["accuracy"]
    verdict = reproduces(int8, bundle)
    if lost > MAX_INT8_LOSS or not verdict.passed:
        hint = "train --fine-tune 3 adapts the network to INT8"
        print(f"int8-cpu is left out: it loses {lost:.2%} accuracy; {verdict}; {hint}", file=sys.stderr)
        bundle.model("int8-cpu").unlink()
        del manifest["files"]["int8-cpu"]
    macs = evaluate.count_macs(
        model, torch.zeros(1, 1, size, size), *(torch.zeros(1, *shape) for shape in model.state.values())
    )
    manifest["evaluation"] = {
        "data": "FER+ PublicTest, majority rule, one view",
        "still_steps": evaluate.STILL_STEPS,
        "macs": macs,
        "parity": manifest["proof"]["max_abs"],
        "int8_cpu_golden_min_cosine": verdict.min_cosine,
        "precisions": precisions,
        "sequences": _over_time(engine, bundle, classifier, data),
    }
    (folder / "model-card.md").write_text(model_card(manifest), "utf-8")
    return manifest


def _quantize(
    folder: Path,
    manifest: dict[str, Any],
    model: StreamingNetwork,
    data: ferplus.FerPlus,
    rng: np.random.Generator,
) -> OrtEngine:
    rows = data.fold == 0
    images, labels = data.images[rows], ferplus.majority(data.votes[rows])
    crops = [generate(images, labels, rng, SequenceRecipe()).crops for _ in range(_CALIBRATION_SEQUENCES)]
    step = onnx.load(str(folder / "model.fp32.onnx"))
    seen = ranges.observe(step, model.state, [normalise_crops(part, manifest) for part in crops])
    path = folder / "model.int8-cpu.onnx"
    write_int8(step, path, ranges.summarise(seen, "minmax"), "cpu")
    manifest["files"]["int8-cpu"] = {"path": path.name}
    manifest["calibration"] = {"method": "minmax", "steps": sum(map(len, crops))}
    return OrtEngine(path, threads=2)


def _report(engine: OrtEngine, bundle: Bundle, data: ferplus.FerPlus) -> dict[str, Any]:
    """Figures of one precision on the fold that no choice has seen."""
    rows = data.fold == 2
    labels = ferplus.majority(data.votes[rows])
    logits = evaluate.still_logits(engine, bundle, data.images[rows])
    manifest, known = bundle.manifest, labels >= 0
    decision = Decision(LABELS, manifest["temperature"], manifest["abstain_below"], 0)
    p = decision.probabilities(logits[known, -1])
    answered = p.max(axis=1) >= manifest["abstain_below"]
    right = p.argmax(axis=1) == labels[known]
    return {
        **evaluate.score(logits[:, -1], labels, LABELS),
        "accuracy_step_1": evaluate.score(logits[:, 0], labels, LABELS)["accuracy"],
        "calibration_error": evaluate.calibration_error(logits[:, -1], labels, manifest["temperature"]),
        "answered": round(float(answered.mean()), 4),
        "accuracy_of_answers": round(float(right[answered].mean()), 4),
    }


def _over_time(
    engine: OrtEngine, bundle: Bundle, classifier: FrameClassifier, data: ferplus.FerPlus
) -> dict[str, Any]:
    """The recurrent step against the encoder's own linear head, on sequences of unseen stills."""
    rows = data.fold == 2
    images, labels = data.images[rows], ferplus.majority(data.votes[rows])
    rng = np.random.default_rng(11)
    made = [generate(images, labels, rng, SequenceRecipe()) for _ in range(_REPORT_SEQUENCES)]
    crops, truth = np.stack([s.crops for s in made]), labels[np.stack([s.still for s in made])]
    per_frame = np.stack([predict(classifier, sequence) for sequence in crops])
    return {
        "n": len(made),
        "recurrent": evaluate.steadiness(roll(engine, bundle, crops), truth),
        "per_frame": evaluate.steadiness(per_frame, truth),
    }


def compare_encoders(data_file: Path, work: Path, names: list[str], epochs: int) -> None:
    """Short, equal training of several encoders; one table row each on standard output."""
    from export.compare import row, title

    _keep_memory()
    data = ferplus.load(data_file)
    print(title())
    for name in names:
        folder = work / f"compare-{epochs}-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        recipe = replace(FrameRecipe(), encoder=name, epochs=epochs)
        print(row(name, train_frames(data, recipe, folder), data, folder), flush=True)
