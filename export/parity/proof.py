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
from export.parity.faces import Faces

STEPS = 300
TOLERANCE = 1e-4  # largest absolute difference of a logit
TRACKS = 8  # sequences that are compared; the agreement takes more, as it counts labels
BATCHES, BATCH_STEPS = (1, 4, 8), 16
Float32 = npt.NDArray[np.float32]
State = Sequence[StateTensor]
AnyFaces = Float32 | Faces  # (B,T,C,S,S), normalized
Reference = Callable[[AnyFaces, int], tuple[list[int], Float32]]
"""Faces, and how many steps of them -> steps at which the original has an answer, and its logits
(R,len,K) for the first rows, up to TRACKS."""


def prove(
    engine: Engine,
    state: State,
    faces: AnyFaces,
    reference: Reference,
    rolled: Float32 | None = None,
    answers: Callable[[Float32], Float32] = lambda logits: logits,
) -> dict[str, Any]:
    """Figures of ``engine`` against ``reference`` on up to 300 steps of ``faces``.

    ``rolled`` (B,T,K) is what ``roll`` gave for them, where that is known. ``answers`` turns logits into what
    the reference gives. Raises EdgeError where a figure is above the tolerance.
    """
    check_interface(engine, state)
    steps = min(faces.shape[1], STEPS)
    logits = roll(engine, state, faces, steps) if rolled is None else rolled
    at, expected = reference(faces, steps)
    figures = {
        "sequences": len(expected),
        "steps": steps,
        "compared_steps": len(at),
        "max_abs": _largest(answers(logits[: len(expected), at]) - expected),
        "staggered_max_abs": staggered(engine, state, faces),
        "batches": list(BATCHES),
        "batch_max_abs": batches(engine, state, faces),
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


def roll(engine: Engine, state: State, faces: AnyFaces, steps: int | None = None) -> Float32:
    """Logits (B,T,K) of faces (B,T,C,S,S) from the zero state, for the first ``steps`` of them."""
    wanted = range(faces.shape[1])[:steps]
    return roll_faces(engine, state, (np.ascontiguousarray(faces[:, at]) for at in wanted))


def staggered(engine: Engine, state: State, faces: AnyFaces, seed: int = 0) -> float:
    """Largest difference between tracks that come and go in one batch, and each of them alone."""
    rng = np.random.default_rng(seed)
    rows, steps = min(len(faces), TRACKS), min(faces.shape[1], STEPS)
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
    return max(
        _largest(np.stack(together) - _alone(engine, state, faces, row, int(first[row]), len(together)))
        for row, together in logits.items()
        if together
    )


def _alone(engine: Engine, state: State, faces: AnyFaces, row: int, first: int, count: int) -> Float32:
    """Logits (count,K) of one row from step ``first`` on."""
    steps = (np.ascontiguousarray(faces[row : row + 1, at]) for at in range(first, first + count))
    return roll_faces(engine, state, steps)[0]


def batches(engine: Engine, state: State, faces: AnyFaces) -> float:
    """Largest difference between a row alone and the same row in batches of several sizes, over 16 steps."""
    steps = min(faces.shape[1], BATCH_STEPS)
    alone = _alone(engine, state, faces, 0, 0, steps)
    worst = 0.0
    for size in BATCHES:
        rows = np.arange(size) % len(faces)
        seen = (np.ascontiguousarray(faces[rows, at]) for at in range(steps))
        worst = max(worst, _largest(roll_faces(engine, state, seen)[0] - alone))
    return worst


def _largest(difference: Float32) -> float:
    worst = float(np.abs(difference).max()) if difference.size else float("nan")
    return worst if np.isfinite(worst) else float("inf")
