"""Does the step compute what the network it was made from computes?

Three questions: over a long stream with states carried on, in a batch whose tracks start and stop at
different times, and with any number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from edge.errors import EdgeError
from edge.protocols import Engine
from export.graph.axes import attribute
from export.graph.rewrite import RECURRENT, Step
from export.graph.window import Window, run_all, session

STEPS = 300
TOLERANCE = 1e-4  # largest absolute difference of a logit
BATCHES = (1, 4, 8)
Float32 = npt.NDArray[np.float32]
State = Mapping[str, tuple[int, ...]]
Reference = Callable[[Float32], tuple[list[int], Float32]]
"""Faces (B,T,C,S,S) -> step numbers at which the original has an answer, and its logits (B,len,K)."""


def prove(engine: Engine, state: State, faces: Float32, reference: Reference) -> dict[str, Any]:
    """Compare ``engine`` with ``reference`` on normalised ``faces`` (B,T,C,S,S); the figures found.

    Raises EdgeError where a figure is above the tolerance.
    """
    check_interface(engine, state)
    logits = roll(engine, state, faces)
    at, expected = reference(faces)
    figures = {
        "steps": faces.shape[1],
        "compared_steps": len(at),
        "max_abs": _largest(logits[:, at] - expected),
        "staggered_max_abs": staggered(engine, state, faces),
        "batches": list(BATCHES),
        "batch_max_abs": batches(engine, state, faces[:, :16]),
    }
    for name in ("max_abs", "staggered_max_abs", "batch_max_abs"):
        if not figures[name] <= TOLERANCE:
            raise EdgeError(
                f"the step differs from its original: {name} is {figures[name]:.2g}, allowed {TOLERANCE:g}; "
                "nothing was written"
            )
    return figures


def check_interface(engine: Engine, state: State) -> None:
    """First input face, first output logits, float32, every state in and out, free in N alone."""
    names = ["face", *state], ["logits", *(f"new_{name}" for name in state)]
    for specs, wanted in zip((engine.inputs, engine.outputs), names, strict=True):
        if list(specs)[: len(wanted)] != wanted:  # further outputs explain, and nobody has to take them
            raise EdgeError(f"the step has {list(specs)}, expected {wanted}; export it again")
        for spec in specs.values():
            if spec.shape[0] is not None or None in spec.shape[1:] or spec.dtype != "float32":
                raise EdgeError(
                    f"{spec.name} is {spec.dtype} {spec.shape}, expected float32, free in N alone"
                )


def zero(state: State, rows: int) -> dict[str, Float32]:
    return {name: np.zeros((rows, *shape), np.float32) for name, shape in state.items()}


def roll(engine: Engine, state: State, faces: Float32) -> Float32:
    """Logits (B,T,K) of faces (B,T,C,S,S) from the zero state."""
    now, logits = zero(state, len(faces)), []
    for at in range(faces.shape[1]):
        out = engine.run({"face": np.ascontiguousarray(faces[:, at]), **now})
        now = {name: out[f"new_{name}"] for name in state}
        logits.append(out["logits"])
    return np.stack(logits, axis=1)


def staggered(engine: Engine, state: State, faces: Float32, seed: int = 0) -> float:
    """Largest difference between tracks that come and go in one batch, and each of them alone."""
    rng = np.random.default_rng(seed)
    rows, steps = faces.shape[:2]
    first = rng.integers(0, max(steps // 3, 1), rows)
    last = first + rng.integers(steps // 3, max(steps // 2, 2), rows)
    kept: dict[int, list[Float32]] = {row: [] for row in range(rows)}
    states = {row: zero(state, 1) for row in range(rows)}
    for at in range(steps):
        here = [row for row in range(rows) if first[row] <= at < last[row]]
        if not here:
            continue
        feeds = {name: np.concatenate([states[row][name] for row in here]) for name in state}
        out = engine.run({"face": np.ascontiguousarray(faces[here, at]), **feeds})
        for place, row in enumerate(here):
            states[row] = {name: out[f"new_{name}"][place : place + 1] for name in state}
            kept[row].append(out["logits"][place])
    alone = [roll(engine, state, faces[row : row + 1, first[row] : last[row]])[0] for row in range(rows)]
    return max(_largest(np.stack(kept[row]) - alone[row]) for row in range(rows) if kept[row])


def batches(engine: Engine, state: State, faces: Float32) -> float:
    """Largest difference between a row alone and the same row in batches of several sizes."""
    alone = roll(engine, state, faces[:1])
    worst = 0.0
    for size in BATCHES:
        together = roll(engine, state, np.resize(faces, (size, *faces.shape[1:])))
        worst = max(worst, _largest(together[:1] - alone))
    return worst


def _largest(difference: Float32) -> float:
    worst = float(np.abs(difference).max()) if difference.size else float("nan")
    return worst if np.isfinite(worst) else float("inf")


def chained(window: Window, step: Step) -> Reference:
    """The window's own GRU and LSTM operators, window after window, their states carried over."""
    model, initial = _with_states(window, step.source)
    run, rows = session(model), window.batch or 1

    def reference(faces: Float32) -> tuple[list[int], Float32]:
        ends = range(window.steps, faces.shape[1] + 1, window.steps)
        answers = np.empty((len(faces), len(ends), step.classes), np.float32)
        for row, face in enumerate(faces):
            now = dict(initial)
            for place, end in enumerate(ends):
                part = np.stack([face[end - window.steps : end]] * rows)
                feeds = {window.input: np.ascontiguousarray(window.from_crops(part)), **now}
                logits, *new = run.run(None, feeds)
                now = dict(zip(now, new, strict=True))
                answers[row, place] = step.last(logits, rows)[0]
        return [end - 1 for end in ends], answers

    return reference


def _with_states(window: Window, logits: str) -> tuple[ModelProto, dict[str, Float32]]:
    """A copy whose recurrent operators take and give their states, and where these begin (1,B,H)."""
    rows = window.batch or 1
    values = run_all(window, np.zeros(window.shape(rows), np.float32))
    model = ModelProto()
    model.CopyFrom(window.model)
    initial: dict[str, Float32] = {}
    outputs = [logits]
    for number, node in enumerate(node for node in model.graph.node if node.op_type in RECURRENT):
        shape = (1, rows, attribute(node, "hidden_size"))
        for letter, place, made in (("h", 5, 1), ("c", 6, 2))[: 1 if node.op_type == "GRU" else 2]:
            name = f"chain_{letter}{number}"
            given = len(node.input) > place and node.input[place]
            initial[name] = values[node.input[place]] if given else np.zeros(shape, np.float32)
            node.input.extend([""] * (place + 1 - len(node.input)))
            node.output.extend([""] * (made + 1 - len(node.output)))
            node.input[place] = name
            node.output[made] = node.output[made] or f"{name}_out"
            outputs.append(node.output[made])
    del model.graph.output[:]
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in initial.items()]
    model.graph.input.extend(infos)
    model.graph.output.extend(ValueInfoProto(name=name) for name in outputs)
    return model, initial
