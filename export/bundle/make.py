"""From a user's trained network to a bundle: step, proof, page; all of it or nothing."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import ModelProto
from torch import nn

from calibration.collect import load_walks
from edge import answers
from edge.bundle import Bundle, StateTensor
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.manifest import Explanation, Manifest
from edge.system.cache import writable_cache
from edge.system.hashing import sha256
from edge.system.ort_session import all_cores
from edge.system.steps import Steps
from export.bundle.golden import add_golden
from export.bundle.options import (
    AS_MADE,
    FP32,
    Options,
    check_labels,
    manifest_of,
    meant,
    say_color,
    tell_meaning,
)
from export.bundle.pages import proof_page
from export.bundle.write import write_bundle
from export.graph import meaning, window
from export.graph.meaning import Answer
from export.graph.phases import RESETS
from export.graph.reading import PREFIX
from export.graph.rewrite import rewrite
from export.graph.smooth import smoothed
from export.graph.states import tensors
from export.graph.step import Step
from export.graph.to_onnx import export_step
from export.graph.window import Window
from export.parity import proof, references
from export.parity.agreement import Changed, agreement, table
from export.parity.faces import Faces
from export.parity.proof import Float32
from export.parity.references import WindowLogits
from export.plain import Averaged, Meant, Plain

SEQUENCES = 16


def bundle_onnx(
    path: Path, out: Path, options: Options, steps: Steps, origin: nn.Module | None = None
) -> None:
    """Rewrite the window graph ``path`` into a bundle at ``out``.

    ``origin`` is the PyTorch network that the graph was exported from; it is compared, too.
    """
    steps.begin("rewriting the window into one step")
    frames = window.load(path, options.window, options.time_first, options.smooth)
    output = "" if origin is not None else options.output  # of a network in PyTorch it was chosen before
    frames, output, each = smoothed(frames, options.smooth, output, options.meaning)
    original = Averaged(origin, each) if each is not None and isinstance(origin, Plain) else origin
    step = _rewritten(frames, options.reset, output, options)
    tell_meaning(step.answer, steps)
    check_labels(options.labels, step.classes, step.answer.columns(step.classes))
    if step.left_out:
        taken = frames.output(output).removeprefix(PREFIX)
        others = ", ".join(step.left_out)
        steps.say(f"takes the output {taken!r}, leaves out {others}; see --output and --keep")
    length = options.smooth or frames.steps
    manifest = manifest_of(options, frames.size, frames.channels, length, step.state)
    manifest = replace(
        manifest, explanations=tuple(Explanation(name, (row.columns,)) for name, row in step.kept.items())
    )
    say_color(manifest, options, steps)
    variants = {options.reset: step}
    for reset in RESETS if step.state else ():
        with suppress(EdgeError):  # what one way to forget cannot do is no fault of the others
            variants.setdefault(reset, _rewritten(frames, reset, output, options))
    faces = real_faces(options.data, manifest, steps)

    def fill(folder: Path) -> Bundle:
        onnx.save_model(step.model, str(folder / FP32))
        engine = Counted(folder / FP32, steps)
        logits = references.window_logits(frames, step)
        # A stream that never forgets is compared with a sliding window after as much as twenty windows.
        long = max(proof.STEPS, 20 * frames.steps) if options.reset == "never" else proof.STEPS
        rolled = _rolled(engine, step.state, faces, steps, long)
        steps.begin(f"comparing {min(proof.STEPS, faces.shape[1])} steps with the window")
        reference = references.of_window(frames, step, options.reset, logits)
        about = proof.prove(engine, step.state, faces, reference, rolled[:, : proof.STEPS])
        if step.kept:
            about["kept_max_abs"] = references.kept_outputs(frames, step, engine, faces)
        if original is not None:
            steps.begin("comparing the window with PyTorch")
            worst = references.against_torch(original, logits, step.answer, faces, frames)
            about["framework_max_abs"] = worst
        about |= {"source_sha256": sha256(path)} | {key: getattr(options, key) for key in AS_MADE}
        described = replace(meant(manifest, step.answer.kind, rolled), proof=about)
        changed = answers.of(described).changed
        rows = _agreement(variants, logits, frames.steps, faces, steps, {options.reset: rolled}, changed)
        return _finish(folder, described, engine, rows, steps)

    write_bundle(out, fill)


def bundle_step(model: nn.Module, origin: nn.Module, out: Path, options: Options, steps: Steps) -> None:
    """Export the step ``model``; ``origin`` is itself, or the window network whose parts it is made of."""
    if options.reset != "never":
        raise EdgeError(
            f"--reset {options.reset} needs a whole window, not parts: leave [parts] out, or pass --onnx"
        )
    state, length = tensors(model.state), options.window or 32  # type: ignore[arg-type]
    manifest = manifest_of(options, options.size, options.channels, length, state)
    say_color(manifest, options, steps)
    faces = real_faces(options.data, manifest, steps)
    shape = (options.channels, options.size, options.size)
    steps.begin("exporting the step with PyTorch")
    with tempfile.TemporaryDirectory(dir=writable_cache("tmp")) as scratch:
        export_step(model, state, shape, path := Path(scratch) / FP32)
        graph = onnx.load(str(path))
    answer = _meaning(model, graph, origin, faces, length, options.meaning)
    tell_meaning(answer, steps)
    model, whole = Meant(model, answer), model is not origin

    def fill(folder: Path) -> Bundle:
        if answer.form == "logits":
            onnx.save_model(graph, str(folder / FP32))
        else:
            export_step(model, state, shape, folder / FP32)
        engine = Counted(folder / FP32, steps)
        classes = int(engine.outputs["logits"].shape[-1] or 0)
        check_labels(options.labels, classes, answer.columns(classes))
        reference = references.prefixes(origin, length) if whole else references.every_step(model)
        long = max(proof.STEPS, 20 * length) if whole else proof.STEPS
        rolled = _rolled(engine, state, faces, steps, long)
        steps.begin(f"comparing {min(proof.STEPS, faces.shape[1])} steps with PyTorch")
        given = answer.output if whole else np.asarray
        about = proof.prove(engine, state, faces, reference, rolled[:, : proof.STEPS], given)
        rows, described = [], meant(manifest, answer.kind, rolled)
        if whole:
            steps.begin("comparing the stream with a sliding window")

            def logits(windows: Float32) -> Float32:
                return answer.undone(references.torch_logits(origin, windows))

            changed = answers.of(described).changed
            rows = agreement({"never": (engine, state)}, logits, length, faces, {"never": rolled}, changed)
        return _finish(folder, replace(described, proof={**about, "reset": "never"}), engine, rows, steps)

    write_bundle(out, fill)


def _meaning(
    step: nn.Module, graph: ModelProto, origin: nn.Module, faces: Faces, length: int, kind: str
) -> Answer:
    """What a step in PyTorch gives: by its own looks, or by the answers of the network it is a part of."""
    seen = np.ascontiguousarray(faces[:2, :length])
    with torch.inference_mode():
        given = references.unroll(step, torch.from_numpy(seen))[:, -1].numpy()
    looks = meaning.of_step(given, graph, kind)
    if step is origin:
        return looks
    return meaning.related(looks, given, references.torch_logits(origin, seen), proof.TOLERANCE, kind)


def real_faces(data: str, manifest: Manifest, steps: Steps) -> Faces:
    """Faces of SEQUENCES real sequences, long enough for proof and agreement."""
    steps.begin("reading faces to compare on")
    length = max(proof.STEPS, 20 * manifest.trained_window)
    return Faces(load_walks(data, manifest, SEQUENCES, length), manifest)


class Counted(OrtEngine):
    """The engine of a proof, on all cores; ``steps`` counts the faces that it has seen."""

    def __init__(self, model: Path, steps: Steps) -> None:
        super().__init__(model, threads=all_cores(), spin=False)
        self._steps = steps

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        out = super().run(feeds)
        self._steps.add(len(feeds["face"]))
        return out


def _rolled(engine: Counted, state: Sequence[StateTensor], faces: Faces, steps: Steps, long: int) -> Float32:
    """Logits (M,long,K) for the proof, and where ``long`` is enough for the agreement as well."""
    steps.begin(f"running {long} steps", long * len(faces))
    return proof.roll(engine, state, faces, long)


def _finish(
    folder: Path, manifest: Manifest, engine: Counted, rows: list[dict[str, Any]], steps: Steps
) -> Bundle:
    """Add golden.npz and the page of the proof; ``rows`` are those of the agreement."""
    if rows:
        print(table(rows))
    steps.begin("drawing golden sequences")
    bundle = add_golden(Bundle(folder, manifest, {"agreement": rows} if rows else {}), engine)
    steps.begin("writing")
    (folder / "proof.html").write_text(proof_page(bundle), "utf-8")
    return bundle


def _rewritten(frames: Window, reset: str, output: str, options: Options) -> Step:
    step = rewrite(frames, reset, output, options.meaning, options.keep)
    gc.collect()  # a rewriting refers to itself, and to every tensor of the window
    return step


def _agreement(
    variants: Mapping[str, Step],
    logits: WindowLogits,
    length: int,
    faces: Faces,
    steps: Steps,
    rolled: Mapping[str, Float32],
    changed: Changed,
) -> list[dict[str, Any]]:
    """How well each kind of reset agrees with a sliding window; ``rolled`` holds what is known of "never"."""
    engines = {}
    never = {reset: logits for reset, logits in rolled.items() if reset == "never"}
    # A stream that resets is run over one window for each step that is compared.
    steps.begin(
        "comparing the stream with a sliding window",
        len(faces) * (6 * length + 2 + (0 if never else 25 * length + 1)),
    )
    with tempfile.TemporaryDirectory(dir=writable_cache("tmp")) as folder:
        for reset, step in variants.items():
            onnx.save_model(step.model, path := str(Path(folder) / f"{reset}.onnx"))
            engines[reset] = (Counted(Path(path), steps), step.state)
        return agreement(engines, logits, length, faces, never, changed)
