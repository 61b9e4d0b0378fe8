"""Whether and how a network will stream, before anything is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

from edge.errors import EdgeError
from edge.system.steps import Steps
from export import pytorch
from export.bundle.options import Options
from export.graph import window
from export.graph.reading import PREFIX
from export.graph.rewrite import rewrite
from export.graph.smooth import smoothed
from export.graph.states import tensors
from export.graph.step import Step
from export.graph.window import AXES, Window

_MEANINGS = {
    "softmax": "one of K classes", "sigmoid": "K independent labels", "values": "K values",
}  # fmt: skip
_FORMS = {
    "logits": "logits", "probabilities": "probabilities", "chances": "probabilities",
    "odds": "one logit for yes or no", "chance": "one probability of yes",
}  # fmt: skip

# What a bundle needs to be told, but the way to stream does not depend on.
_UNSAID: Mapping[str, Any] = {"labels": (), "normalize": "none", "step_hz": 1.0}


@dataclass(frozen=True)
class Report:
    """What is known of a network; ``why_not`` is "", or the refusal of ``emotion-export bundle``."""

    network: str
    streams: bool
    why_not: str = ""
    input: Mapping[str, Any] = field(default_factory=dict)
    output: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    recurrent: tuple[str, ...] = ()
    looking_back: tuple[str, ...] = ()
    joining: tuple[str, ...] = ()
    state: tuple[Mapping[str, Any], ...] = ()
    state_bytes: int = 0


def of_onnx(path: Path, settings: Mapping[str, Any]) -> Report:
    """The report of a graph over windows or frames; ``settings`` are fields of Options."""
    return _of_window(path, Options(**{**_UNSAID, **settings}), str(path))


def of_pytorch(given: pytorch.Given, settings: Mapping[str, Any], steps: Steps) -> Report:
    """The report of a network in PyTorch, by its modules and by its export."""
    try:
        network = pytorch.read(given, {**_UNSAID, **settings}, steps)
        if network.step is not None:
            shapes: Any = network.step.state
            own = ("the network is a step by itself",)
            return Report(given.model, True, recurrent=own, **_state(tensors(shapes)))
        with network.window(steps) as path:
            return _of_window(path, replace(network.options, output=""), given.model)
    except EdgeError as error:
        return Report(given.model, False, str(error))


def _of_window(path: Path, options: Options, name: str) -> Report:
    seen: Mapping[str, Any] = {}
    try:
        frames = window.load(path, options.window, options.time_first, options.smooth)
        seen, output = _input(frames, options), options.output
        frames, output, _ = smoothed(frames, options.smooth, output, options.meaning)
        step = rewrite(frames, options.reset, output, options.meaning)
    except EdgeError as error:
        return Report(name, False, str(error), seen)
    return Report(
        name,
        True,
        input=seen,
        output=_output(frames, step, output),
        left_out=step.left_out,
        recurrent=step.recurrent,
        looking_back=step.looking_back,
        joining=step.joining,
        **_state(step.state),
    )


def as_json(report: Report) -> str:
    return json.dumps(asdict(report), indent=2)


def as_text(report: Report) -> str:
    """A few lines: what goes in, what is remembered, what comes out, and whether it streams."""
    lines = [f"{report.network}: {'streams' if report.streams else 'does not stream'}"]
    if report.why_not:
        lines.append(f"  why:      {report.why_not}")
    if about := report.input:
        batch = "any batch" if about["batch"] is None else f"a batch of {about['batch']}"
        lines.append(
            f"  input:    {about['frames']} frames of {about['size']}x{about['size']} pixels, "
            f"{about['channels']} channel{'s' * (about['channels'] > 1)}, {batch} ({about['axes']})"
        )
    for title, nodes in (
        ("memory:", report.recurrent),
        ("past:", report.looking_back),
        ("window:", report.joining),
    ):
        lines += [f"  {title if at == 0 else '':<8}  {node}" for at, node in enumerate(nodes)]
    if about := report.output:
        form = f", as {about['form']}" if about["form"] else ""
        means = f"{about['means']}, K = {about['classes']}{form}"
        lines.append(f"  output:   {about['name']!r}: {means}")
    if report.left_out:
        lines.append(f"  left out: {', '.join(report.left_out)} (--output NAME takes another one)")
    for at, state in enumerate(report.state):
        shape = "x".join(map(str, state["shape"]))
        lines.append(f"  {'state:' if at == 0 else '':<8}  {state['name']}, {shape} per face")
    if report.streams:
        lines.append(f"  per face: {report.state_bytes:,} bytes of state")
    return "\n".join(lines)


def _input(frames: Window, options: Options) -> dict[str, Any]:
    order = frames.order.replace("T", "") if options.smooth else frames.order
    return {
        "axes": ", ".join(AXES[axis] for axis in order),
        "batch": frames.batch,
        "frames": options.smooth or frames.steps,
        "channels": frames.channels,
        "size": frames.size,
    }


def _output(frames: Window, step: Step, output: str) -> dict[str, Any]:
    form = _FORMS[step.answer.form]
    closing = f" before {step.answer.closing}" if step.answer.closing else ""
    return {
        "name": frames.output(output).removeprefix(PREFIX),
        "classes": step.classes,
        "kind": step.answer.kind,
        "means": _MEANINGS[step.answer.kind],
        "form": "" if step.answer.kind == "values" else form + closing,
    }


def _state(state: Any) -> dict[str, Any]:
    rows = tuple({"name": tensor.input, "shape": list(tensor.shape)} for tensor in state)
    return {"state": rows, "state_bytes": sum(4 * prod(tensor.shape) for tensor in state)}
