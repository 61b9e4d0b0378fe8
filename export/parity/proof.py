"""Does the step compute what the network it was made from computes?

Three questions: over a long stream with states carried on, in a batch whose tracks start and stop at
different times, and with any number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.bundle import StateTensor
from edge.engines.golden import roll_faces
from edge.errors import EdgeError
from edge.protocols import Engine

STEPS = 300
TOLERANCE = 1e-4  # largest absolute difference of a logit
BATCHES = (1, 4, 8)
Float32 = npt.NDArray[np.float32]
State = Sequence[StateTensor]
Reference = Callable[[Float32], tuple[list[int], Float32]]
"""Faces (B,T,C,S,S) -> step numbers at which the original has an answer, and its logits (B,len,K)."""


def prove(engine: Engine, state: State, faces: Float32, reference: Reference) -> dict[str, Any]:
    """Figures of ``engine`` against ``reference`` on normalized ``faces`` (B,T,C,S,S).

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
    """EdgeError unless face and logits come first, every state goes in and out, all float32 and free in N."""
    inputs = ["face", *(tensor.input for tensor in state)]
    outputs = ["logits", *(tensor.output for tensor in state)]
    for specs, expected in ((engine.inputs, inputs), (engine.outputs, outputs)):
        if list(specs)[: len(expected)] != expected:  # outputs beyond these explain, and are optional
            raise EdgeError(f"the step has {list(specs)}, expected {expected}; export it again")
        for spec in specs.values():
            if spec.shape[0] is not None or None in spec.shape[1:] or spec.dtype != "float32":
                raise EdgeError(
                    f"{spec.name} is {spec.dtype} {spec.shape}, expected float32, free in N alone"
                )


def zero(state: State, rows: int) -> dict[str, Float32]:
    """The state in which every track begins."""
    return {tensor.input: np.zeros((rows, *tensor.shape), np.float32) for tensor in state}


def roll(engine: Engine, state: State, faces: Float32) -> Float32:
    """Logits (B,T,K) of faces (B,T,C,S,S) from the zero state."""
    return roll_faces(engine, state, (np.ascontiguousarray(faces[:, at]) for at in range(faces.shape[1])))


def staggered(engine: Engine, state: State, faces: Float32, seed: int = 0) -> float:
    """Largest difference between tracks that come and go in one batch, and each of them alone."""
    rng = np.random.default_rng(seed)
    rows, steps = faces.shape[:2]
    first = rng.integers(0, max(steps // 3, 1), rows)
    last = first + rng.integers(steps // 3, max(steps // 2, 2), rows)
    logits: dict[int, list[Float32]] = {row: [] for row in range(rows)}
    states = {row: zero(state, 1) for row in range(rows)}
    for at in range(steps):
        here = [row for row in range(rows) if first[row] <= at < last[row]]
        if not here:
            continue
        feeds = {name: np.concatenate([states[row][name] for row in here]) for name in states[0]}
        out = engine.run({"face": np.ascontiguousarray(faces[here, at]), **feeds})
        for place, row in enumerate(here):
            states[row] = {t.input: out[t.output][place : place + 1] for t in state}
            logits[row].append(out["logits"][place])
    alone = [roll(engine, state, faces[row : row + 1, first[row] : last[row]])[0] for row in range(rows)]
    return max(_largest(np.stack(logits[row]) - alone[row]) for row in range(rows) if logits[row])


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
