"""A window is not a stream: how often the endless stream says what a sliding window would say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.engines.golden import ONE_OF, roll_faces
from edge.protocols import Engine
from export.parity.proof import AnyFaces, Float32, State
from export.parity.references import WindowLogits

Changed = Callable[[Float32, Float32], npt.NDArray[np.bool_]]


def at_steps(window: int) -> list[int]:
    """The first step, one window, four, twenty."""
    return [1, window, 4 * window, 20 * window]


def agreement(
    engines: Mapping[str, tuple[Engine, State]],
    window_logits: WindowLogits,
    window: int,
    faces: AnyFaces,
    rolled: Mapping[str, Float32] | None = None,
    changed: Changed = ONE_OF.changed,
) -> list[dict[str, Any]]:
    """Share of sequences, per kind of reset and step, in which stream and window give the same answer.

    ``faces`` is (M, 20 windows or more, C,S,S). A window that is not full yet repeats its first frame in
    front. ``rolled`` holds logits (M, 20 windows, K) that an engine gave already, ``changed`` says which rows
    of logits (M,K) give another answer than expected.
    """
    expected = {}
    for step in at_steps(window):
        seen = np.arange(step - window, step).clip(0)
        expected[step] = np.stack([window_logits(faces[row : row + 1, seen])[0] for row in range(len(faces))])
    rows = []
    for reset, (engine, state) in engines.items():
        known = (rolled or {}).get(reset)
        for step in at_steps(window):
            logits = (
                known[:, step - 1]
                if known is not None
                else _answers(reset, engine, state, faces, step, window)
            )
            same = 1 - float(changed(logits, expected[step]).mean())
            rows.append({"reset": reset, "step": step, "n": len(faces), "same_label": round(same, 4)})
    return rows


def _answers(reset: str, engine: Engine, state: State, faces: AnyFaces, step: int, window: int) -> Float32:
    """Logits (M,K) at one of ``at_steps``.

    A stream that resets has forgotten there what came before its last window: each of these steps but the
    first ends a window.
    """
    first = 0 if reset == "never" else max(step - window, 0)
    seen = (np.ascontiguousarray(faces[:, at]) for at in range(first, step))
    return roll_faces(engine, state, seen)[:, -1]


def by_reset(rows: list[dict[str, Any]]) -> dict[str, dict[int, float]]:
    """Shares of one label by kind of reset and step."""
    shares: dict[str, dict[int, float]] = {}
    for row in rows:
        shares.setdefault(row["reset"], {})[row["step"]] = row["same_label"]
    return shares


def table(rows: list[dict[str, Any]]) -> str:
    """Plain text, one line per kind of reset."""
    steps = sorted({row["step"] for row in rows})
    lines = ["same answer as the sliding window after" + "".join(f"{step:>8}" for step in steps) + " steps"]
    for reset, shares in by_reset(rows).items():
        lines.append(f"  --reset {reset:<28}" + "".join(f"{shares[step]:>8.0%}" for step in steps))
    return "\n".join(lines) + f"\n  ({rows[0]['n']} sequences)"
