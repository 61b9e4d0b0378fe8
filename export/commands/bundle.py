"""From a user's trained network to a bundle: step, proof, page; all of it or nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from calibration.collect import load_sequences
from edge.bundle import Bundle, sha256
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.faces.crop import normalise_crops
from export.bundle.golden import golden_sequences
from export.bundle.pages import proof_page
from export.bundle.write import write_bundle
from export.graph import window
from export.graph.phases import RESETS
from export.graph.rewrite import Step, rewrite
from export.graph.to_onnx import export_step, rolled, to_onnx
from export.graph.window import Window
from export.parity import proof
from export.parity.agreement import WindowLogits, agreement, table

SEQUENCES = 16
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Options:
    """What no graph tells."""

    labels: Sequence[str]
    normalise: str
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
    faces = _faces(options.data, manifest, max(proof.STEPS, 20 * frames.steps))

    def fill(folder: Path) -> dict[str, Any]:
        engine = _save(step, folder / "model.fp32.onnx")
        ask = window_logits(frames, step)
        reference = (
            proof.chained(frames, step) if options.reset == "never" else fresh(options.reset, frames, ask)
        )
        figures = proof.prove(engine, step.state, faces[:, : proof.STEPS], reference)
        if origin is not None:
            figures["framework_max_abs"] = _against_torch(origin, ask, faces[:, : frames.steps])
        rows = _agreement(frames, ask, faces[:, : 20 * frames.steps])
        print(table(rows))
        manifest["proof"] = {
            **figures,
            "source_sha256": sha256(path),
            "reset": options.reset,
            "time_first": options.time_first,
            "agreement": rows,
        }
        return _finish(folder, manifest, engine)

    write_bundle(out, fill)


def bundle_step(model: nn.Module, origin: nn.Module, out: Path, options: Options) -> None:
    """Export the step ``model``; ``origin`` is itself, or the window network whose parts it is made of."""
    if options.reset != "never":
        raise EdgeError(
            f"--reset {options.reset} needs a whole window, not parts: leave [parts] out, or pass --onnx"
        )
    state: dict[str, tuple[int, ...]] = model.state  # type: ignore[assignment]
    steps = options.window or 32
    manifest = _manifest(options, options.size, options.channels, steps, state)
    faces = _faces(options.data, manifest, max(proof.STEPS, 20 * steps))

    def fill(folder: Path) -> dict[str, Any]:
        path = folder / "model.fp32.onnx"
        export_step(model, state, (options.channels, options.size, options.size), path)
        engine = OrtEngine(path)
        _check_labels(options.labels, int(engine.outputs["logits"].shape[-1] or 0))
        reference = rolled(model, state) if model is origin else _prefixes(origin, steps)
        figures = proof.prove(engine, state, faces[:, : proof.STEPS], reference)
        manifest["proof"] = {**figures, "reset": "never"}
        if model is not origin:
            ask: WindowLogits = lambda part: _torch(origin, part)  # noqa: E731
            rows = agreement({"never": (engine, state)}, ask, steps, faces[:, : 20 * steps])
            print(table(rows))
            manifest["proof"]["agreement"] = rows
        return _finish(folder, manifest, engine)

    write_bundle(out, fill)


def bundle_window_module(model: nn.Module, out: Path, options: Options) -> None:
    """Export a PyTorch network over windows, with one GRU or LSTM operator per layer, and rewrite it."""
    if options.window is None:
        raise EdgeError("the network works on windows: pass --window T, the length it was trained on")
    frames = torch.zeros(2, options.window, options.channels, options.size, options.size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "window.onnx"
        onnx.save_model(to_onnx(model, (frames,), ["window"], ["logits"]), str(path))
        bundle_onnx(path, out, options, origin=model)


def _check_labels(labels: Sequence[str], classes: int) -> None:
    if len(labels) != classes:
        raise EdgeError(
            f"{len(labels)} labels ({', '.join(labels)}) for {classes} outputs; give one per output"
        )
    if len(set(labels)) != len(labels):
        raise EdgeError(f"a label stands twice in {', '.join(labels)}; give every output its own")


def _manifest(
    options: Options, size: int, channels: int, steps: int, state: dict[str, tuple[int, ...]]
) -> dict[str, Any]:
    if options.reset not in RESETS:
        raise EdgeError(f"--reset {options.reset!r} is unknown; there are {', '.join(RESETS)}")
    return {
        "format": 1,
        "name": options.name,
        "version": "1",
        "license": options.license,
        "labels": list(options.labels),
        "input": {
            "size": size,
            "channels": channels,
            "normalisation": options.normalise,
            "crop": {"scale": options.crop_scale, "align": options.align},
        },
        "state": [{"input": n, "output": f"new_{n}", "shape": list(shape)} for n, shape in state.items()],
        "step_hz": options.step_hz,
        "trained_window": steps,
        "warm_steps": min(5, steps),
        "reset_after_s": 1.0,
        "temperature": 1.0,
        "abstain_below": 0.0,
        "files": {"fp32": {"path": "model.fp32.onnx"}},
        "golden": {"path": "golden.npz"},
    }


def _faces(data: str, manifest: dict[str, Any], steps: int) -> Float32:
    """Normalised faces (SEQUENCES,steps,C,S,S) of real sequences."""
    crops = load_sequences(data, manifest, SEQUENCES, steps)
    return np.stack([normalise_crops(sequence, manifest) for sequence in crops])


def _save(step: Step, path: Path) -> OrtEngine:
    onnx.save_model(step.model, str(path))
    return OrtEngine(path)


def _finish(folder: Path, manifest: dict[str, Any], engine: OrtEngine) -> dict[str, Any]:
    crops, logits = golden_sequences(engine, Bundle(folder, manifest))
    np.savez_compressed(folder / "golden.npz", crops=crops, logits=logits)
    (folder / "proof.html").write_text(proof_page(manifest), "utf-8")
    return manifest


def window_logits(frames: Window, step: Step) -> WindowLogits:
    """The original graph on windows (B,T,C,S,S), one by one where its batch is fixed."""
    model = onnx.ModelProto()
    model.CopyFrom(frames.model)
    del model.graph.output[:]
    model.graph.output.append(onnx.ValueInfoProto(name=step.source))
    run = window.session(model)

    def ask(faces: Float32) -> Float32:
        rows = frames.batch or 1
        answers = []
        for face in faces:
            feeds = {frames.input: np.ascontiguousarray(frames.from_crops(np.stack([face] * rows)))}
            answers.append(step.last(run.run(None, feeds)[0], rows)[0])
        return np.stack(answers)

    return ask


def fresh(reset: str, frames: Window, ask: WindowLogits) -> proof.Reference:
    """Steps at which a resetting stream has seen exactly one window."""
    steps = frames.steps

    def reference(faces: Float32) -> tuple[list[int], Float32]:
        offsets = {0, steps // 2} if reset == "two-phase" else {0}
        ends = [end for end in range(steps, faces.shape[1] + 1) if end % steps in offsets]
        return [end - 1 for end in ends], np.stack([ask(faces[:, end - steps : end]) for end in ends], axis=1)

    return reference


def _agreement(frames: Window, ask: WindowLogits, faces: Float32) -> list[dict[str, Any]]:
    engines = {}
    with tempfile.TemporaryDirectory() as folder:
        for reset in RESETS:
            step = rewrite(frames, reset)
            engines[reset] = (_save(step, Path(folder) / f"{reset}.onnx"), step.state)
    return agreement(engines, ask, frames.steps, faces)


@torch.inference_mode()
def _torch(model: nn.Module, faces: Float32) -> Float32:
    out: Float32 = model(torch.from_numpy(np.ascontiguousarray(faces))).numpy()
    return out


def _against_torch(model: nn.Module, ask: WindowLogits, faces: Float32) -> float:
    found, expected = ask(faces), _torch(model, faces)
    if not np.allclose(expected.sum(-1), 1, atol=1e-4):  # else it ends in a softmax that the step has not
        worst = float(np.abs(found - expected).max())
    else:
        powers = np.exp(found - found.max(-1, keepdims=True))
        worst = float(np.abs(powers / powers.sum(-1, keepdims=True) - expected).max())
    if not worst <= proof.TOLERANCE:
        raise EdgeError(f"the export differs from PyTorch by {worst:.2g}, allowed {proof.TOLERANCE:g}")
    return worst


def _prefixes(model: nn.Module, steps: int) -> proof.Reference:
    """The window network on all that was seen up to some steps."""

    def reference(faces: Float32) -> tuple[list[int], Float32]:
        ends = sorted({1, 2, steps, 4 * steps, faces.shape[1]} & set(range(1, faces.shape[1] + 1)))
        return [end - 1 for end in ends], np.stack([_torch(model, faces[:, :end]) for end in ends], axis=1)

    return reference
