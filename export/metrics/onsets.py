"""How soon and how steadily an expression that comes and goes is told, by memory and by smoothing.

The smoothing and its strength are chosen on one half of the persons and judged on the other, both ways round,
so that it cannot profit from having been chosen on the persons who judge it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.recognition.decision import Decision
from export.data.halves import first_half
from export.metrics import intervals, smoothing
from export.metrics.accuracy import fit_temperature
from export.metrics.set_report import MIN_PEOPLE

Labels = npt.NDArray[np.int64]  # (N,T)
Float32 = npt.NDArray[np.float32]
Rows = dict[str, npt.NDArray[np.float64]]  # a number for each sequence, NaN where it has none
FIGURES = ("accuracy", "extra_changes", "reached", "onset_delay", "return_delay")


def of_sequences(answer: Labels, truth: Labels) -> Rows:
    """FIGURES of each sequence, whose ``truth`` is neutral, the expression, neutral again.

    ``reached``: the expression is told while it is there. ``onset_delay`` and ``return_delay`` are steps from
    the change until its label is first given, NaN where it never is, or the expression never was.
    """
    rows = []
    for given, wanted in zip(answer, truth, strict=True):
        found = smoothing.measures(given[None], wanted[None])
        begin, end = (int(at) for at in np.flatnonzero(wanted[1:] != wanted[:-1]) + 1)
        onset = np.flatnonzero(given[begin:end] == wanted[begin])
        back = np.flatnonzero(given[end:] == wanted[end]) if len(onset) else onset  # nothing to return from
        delays = (float(hits[0]) if len(hits) else np.nan for hits in (onset, back))
        rows.append((found["accuracy"], found["extra_changes"], float(len(onset) > 0), *delays))
    return dict(zip(FIGURES, np.array(rows, np.float64).T, strict=True))


def compare(recurrent: Float32, alone: Float32, truth: Labels, person: Labels) -> dict[str, Any]:
    """The recurrent step beside per-frame answers with the best smoothing, with intervals over persons.

    ``recurrent`` holds probabilities and ``alone`` logits (N,T,K), of sequences of ``person`` (N,).
    ``most_accurate`` is the smoothing that is right in most steps; ``as_steady`` the one with the least delay
    among those that change needlessly no more often than the recurrent step, None where there is none. Its
    ``ahead`` is recurrent minus smoothing; a delay counts where both tell the change.
    """
    own = recurrent.argmax(axis=-1)
    rows = of_sequences(own, truth)
    found: dict[str, Any] = {"recurrent": {"figures": _with_intervals(rows, person)}}
    first = first_half(person.astype(str))
    for kind in ("most_accurate", "as_steady"):
        smoothed, chosen = np.empty_like(truth), []
        for judged in (first, ~first):
            name = _choose(kind, own, alone, truth, ~judged)
            chosen.append(name)
            if name is not None:
                smoothed[judged] = _smoothed(alone, truth, ~judged)[name][judged]
        found[kind] = None if None in chosen else _beside(own, smoothed, truth, person, chosen)
    return {"sequences": len(truth), "steps": truth.shape[1], **found}


def by_group(
    recurrent: Float32, truth: Labels, person: Labels, groups: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    """FIGURES of the recurrent step by each value of the ``groups``, which stand in the order of persons."""
    rows = of_sequences(recurrent.argmax(axis=-1), truth)
    members: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for at, one in enumerate(groups):
        for group, value in one.items():
            members[group][value].append(at)
    found: dict[str, Any] = {}
    for group, values in sorted(members.items()):
        inside = {value: np.isin(person, at) for value, at in sorted(values.items())}
        found[group] = {
            value: _with_intervals({name: row[own] for name, row in rows.items()}, person[own])
            for value, own in inside.items()
        }
    return found


def _beside(
    own: Labels, smoothed: Labels, truth: Labels, person: Labels, chosen: list[Any]
) -> dict[str, Any]:
    mine, its = of_sequences(own, truth), of_sequences(smoothed, truth)
    ahead = {name: mine[name] - its[name] for name in FIGURES}
    return {
        "chosen": [f"{kind} {at:g}" for kind, at in chosen],
        "figures": _with_intervals(its, person),
        "ahead": _with_intervals(ahead, person),
    }


def _smoothed(alone: Float32, truth: Labels, rows: npt.NDArray[np.bool_]) -> dict[tuple[str, float], Labels]:
    """Labels (N,T) by every smoothing of all sequences; what is fitted is fitted to ``rows`` (N,)."""
    logits, labels = alone[rows].reshape(-1, alone.shape[-1]), truth[rows].ravel()
    p = Decision((), fit_temperature(logits, labels), 0, 0).probabilities(alone)
    tried = smoothing.methods(p[rows].mean(axis=(0, 1)))
    return {(kind, at): smooth(p, at) for kind, (smooth, ats) in tried.items() for at in ats}


def _choose(
    kind: str, own: Labels, alone: Float32, truth: Labels, rows: npt.NDArray[np.bool_]
) -> tuple[str, float] | None:
    """The best smoothing on ``rows`` (N,); a change that is missed is as late as it lasts."""
    tried = _smoothed(alone, truth, rows)
    points = {name: smoothing.measures(labels[rows], truth[rows]) for name, labels in tried.items()}
    if kind == "most_accurate":
        return max(points, key=lambda name: points[name]["accuracy"])
    most = smoothing.measures(own[rows], truth[rows])["extra_changes"]
    steady = [name for name, point in points.items() if point["extra_changes"] <= most]
    return min(steady, key=lambda name: points[name]["delay_steps"], default=None)


def _with_intervals(rows: Rows, person: Labels) -> dict[str, Any]:
    """Mean of each figure over the sequences that have it, with its interval over persons."""
    found = {}
    for name, values in rows.items():
        there = ~np.isnan(values)
        inside = values[there]
        found[name] = {
            "n": len(inside),
            "value": round(float(inside.mean()), 4) if len(inside) else None,
            "interval_95": _interval(name, inside, person[there]),
        }
    return found


def _interval(name: str, values: npt.NDArray[np.float64], person: Labels) -> list[float] | None:
    """Of draws of persons; of a share that is 1 everywhere, where no draw differs, Wilson's over persons."""
    people = len(np.unique(person))
    if people < MIN_PEOPLE:
        return None
    if name in ("accuracy", "reached") and (values == 1).all():
        return intervals.wilson(people, people)
    return intervals.of_mean(values, person)
