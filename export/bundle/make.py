"""From a user's trained network to a bundle: step, proof, page; all of it or nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from calibration.collect import load_sequences
from edge.bundle import Bundle, StateTensor
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.manifest import BundleFile, CropGeometry, FaceInput, Manifest
from edge.preprocess import normalize_crops
from edge.system.cache import writable_cache
from edge.system.hashing import sha256
from export.bundle.golden import add_golden
from export.bundle.pages import proof_page
from export.bundle.write import write_bundle
from export.graph import window
from export.graph.phases import RESETS
from export.graph.rewrite import Step, rewrite
from export.graph.states import tensors
from export.graph.to_onnx import export_step, to_onnx
from export.graph.window import Window
from export.parity import proof, references
from export.parity.agreement import agreement, table
from export.parity.proof import Float32
from export.parity.references import WindowLogits

SEQUENCES = 16
FP32 = "model.fp32.onnx"


@dataclass(frozen=True)
class Options:
    """What no graph says of itself."""

    labels: Sequence[str]
    normalize: str
    step_hz: float
    name: str = "custom"
    license: str = "not stated"
    window: int | None = None
    reset: str = "never"
    time_first: bool = False
    data: str = "demo"
    align: str = "eyes"
    crop_scale: float = 1.0
    size: int = 48  # of a PyTorch network's faces; an ONNX file says its own
    channels: int = 1


def bundle_onnx(path: Path, out: Path, options: Options, origin: nn.Module | None = None) -> None:
    """Rewrite the window graph ``path`` into a bundle at ``out``.

    ``origin`` is the PyTorch network that the graph was exported from; it is compared, too.
    """
    frames = window.load(path, options.window, options.time_first)
    step = rewrite(frames, options.reset)
    _check_labels(options.labels, step.classes)
    manifest = _manifest(options, frames.size, frames.channels, frames.steps, step.state)
    faces = real_faces(options.data, manifest)

    def fill(folder: Path) -> Bundle:
        engine = _save(step, folder / FP32)
        logits = references.window_logits(frames, step)
        reference = references.of_window(frames, step, options.reset, logits)
        about = proof.prove(engine, step.state, faces[:, : proof.STEPS], reference)
        if origin is not None:
            about["framework_max_abs"] = references.against_torch(origin, logits, faces[:, : frames.steps])
        about |= {"source_sha256": sha256(path), "reset": options.reset, "time_first": options.time_first}
        rows = _agreement(frames, logits, faces[:, : 20 * frames.steps])
        return _finish(folder, replace(manifest, proof=about), engine, rows)

    write_bundle(out, fill)


def bundle_step(model: nn.Module, origin: nn.Module, out: Path, options: Options) -> None:
    """Export the step ``model``; ``origin`` is itself, or the window network whose parts it is made of."""
    if options.reset != "never":
        raise EdgeError(
            f"--reset {options.reset} needs a whole window, not parts: leave [parts] out, or pass --onnx"
        )
    state, steps = tensors(model.state), options.window or 32  # type: ignore[arg-type]
    manifest = _manifest(options, options.size, options.channels, steps, state)
    faces = real_faces(options.data, manifest)

    def fill(folder: Path) -> Bundle:
        export_step(model, state, (options.channels, options.size, options.size), folder / FP32)
        engine = OrtEngine(folder / FP32)
        _check_labels(options.labels, int(engine.outputs["logits"].shape[-1] or 0))
        reference = references.every_step(model) if model is origin else references.prefixes(origin, steps)
        about = proof.prove(engine, state, faces[:, : proof.STEPS], reference)
        rows = []
        if model is not origin:
            logits = partial(references.torch_logits, origin)
            rows = agreement({"never": (engine, state)}, logits, steps, faces[:, : 20 * steps])
        return _finish(folder, replace(manifest, proof={**about, "reset": "never"}), engine, rows)

    write_bundle(out, fill)


def bundle_window_module(model: nn.Module, out: Path, options: Options) -> None:
    """Export a PyTorch network over windows, with one GRU or LSTM operator per layer, and rewrite it."""
    if options.window is None:
        raise EdgeError("the network works on windows: pass --window T, the length it was trained on")
    frames = torch.zeros(2, options.window, options.channels, options.size, options.size)
    with tempfile.TemporaryDirectory(dir=writable_cache("tmp")) as folder:
        path = Path(folder) / "window.onnx"
        onnx.save_model(to_onnx(model, (frames,), ["window"], ["logits"]), str(path))
        bundle_onnx(path, out, options, origin=model)


def real_faces(data: str, manifest: Manifest) -> Float32:
    """Normalized faces (SEQUENCES,T,C,S,S) of real sequences, long enough for proof and agreement."""
    steps = max(proof.STEPS, 20 * manifest.trained_window)
    crops = load_sequences(data, manifest, SEQUENCES, steps)
    return np.stack([normalize_crops(sequence, manifest) for sequence in crops])


def _check_labels(labels: Sequence[str], classes: int) -> None:
    if len(labels) != classes:
        raise EdgeError(
            f"{len(labels)} labels ({', '.join(labels)}) for {classes} outputs; give one per output"
        )
    if len(set(labels)) != len(labels):
        raise EdgeError(f"a label occurs twice in {', '.join(labels)}; give each output its own")


def _manifest(
    options: Options, size: int, channels: int, steps: int, state: tuple[StateTensor, ...]
) -> Manifest:
    if options.reset not in RESETS:
        raise EdgeError(f"unknown --reset {options.reset!r}; choose one of {', '.join(RESETS)}")
    return Manifest(
        name=options.name,
        version="1",
        license=options.license,
        labels=tuple(options.labels),
        input=FaceInput(size, channels, options.normalize, CropGeometry(options.crop_scale, options.align)),
        state=state,
        step_hz=options.step_hz,
        trained_window=steps,
        warm_steps=min(5, steps),
        reset_after_s=1.0,
        files={"fp32": BundleFile(FP32)},
    )


def _save(step: Step, path: Path) -> OrtEngine:
    onnx.save_model(step.model, str(path))
    return OrtEngine(path)


def _finish(folder: Path, manifest: Manifest, engine: OrtEngine, rows: list[dict[str, Any]]) -> Bundle:
    """Add golden.npz and the page of the proof; ``rows`` are those of the agreement."""
    if rows:
        print(table(rows))
    bundle = add_golden(Bundle(folder, manifest, {"agreement": rows} if rows else {}), engine)
    (folder / "proof.html").write_text(proof_page(bundle), "utf-8")
    return bundle


def _agreement(frames: Window, logits: WindowLogits, faces: Float32) -> list[dict[str, Any]]:
    engines = {}
    with tempfile.TemporaryDirectory(dir=writable_cache("tmp")) as folder:
        for reset in RESETS:
            step = rewrite(frames, reset)
            engines[reset] = (_save(step, Path(folder) / f"{reset}.onnx"), step.state)
    return agreement(engines, logits, frames.steps, faces)
