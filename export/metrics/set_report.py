"""Figures of a labelled set with bootstrap intervals: whole, per class, per group of people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from export.data.datasets import Clip
from export.metrics.accuracy import uar
from export.metrics.intervals import RESAMPLES, middle, wilson

MIN_GROUP = 30  # clips under which a group's figure is left out of the gap
MIN_PEOPLE = 5  # under which nothing is said of how a figure scatters


def report(p: npt.NDArray[np.float32], clips: Sequence[Clip], labels: Sequence[str]) -> dict[str, Any]:
    """WAR, UAR, recall per class and per group, each with a bootstrap interval.

    WAR is the share of right clips (weighted average recall), UAR the mean recall of the classes that the
    set has. A clip without a face counts as wrong. Where subjects are known, whole subjects are drawn:
    clips of one person are no independent witnesses.
    """
    wanted = np.array([list(labels).index(clip.label) for clip in clips])
    right = np.where(np.isnan(p[:, 0]), -1, np.nan_to_num(p).argmax(axis=1)) == wanted
    among = np.isin(np.arange(len(labels)), wanted)
    closed = np.where(np.isnan(p[:, 0]), -1, np.where(among, np.nan_to_num(p), -1).argmax(axis=1)) == wanted
    subjects = np.array([clip.subject or str(at) for at, clip in enumerate(clips)])
    everyone = np.ones(len(clips), bool)
    found = {
        "war": interval(right, wanted, subjects, everyone, "war"),
        "uar": interval(right, wanted, subjects, everyone, "uar"),
        "war_among_its_labels": interval(closed, wanted, subjects, everyone, "war"),
        "classes": {
            labels[k]: interval(right, wanted, subjects, wanted == k, "war") for k in np.unique(wanted)
        },
        "groups": {},
    }
    members: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for at, clip in enumerate(clips):
        for group, value in clip.groups.items():
            members[group][value].append(at)
    for group, values in sorted(members.items()):
        inside = {value: np.isin(np.arange(len(clips)), at) for value, at in sorted(values.items())}
        rows = {value: interval(right, wanted, subjects, at, "war") for value, at in inside.items()}
        large = [v for v, row in rows.items() if row["n"] >= MIN_GROUP and row["interval_95"]]
        gap: dict[str, Any] = {}
        if len(large) > 1:
            best, worst = (
                choose(large, key=lambda value: float(rows[value]["value"])) for choose in (max, min)
            )
            gap = _gap(right, wanted, subjects, inside[best], inside[worst])
        found["groups"][group] = {"values": rows, "worst_gap": gap}
    return found


def _gap(
    right: npt.NDArray[np.bool_],
    wanted: npt.NDArray[np.int64],
    subjects: npt.NDArray[np.str_],
    best: npt.NDArray[np.bool_],
    worst: npt.NDArray[np.bool_],
) -> dict[str, Any]:
    """How far the ``best`` rows are ahead of the ``worst``, with an interval of differences.

    A difference, not a range: draws of equal groups go below 0, and the interval then holds 0.
    Being chosen for their figures still makes the two look further apart than they are.
    """
    rng = np.random.default_rng(0)  # one for both: equal draws of two groups would hide how they scatter
    high, low = (_draws(right, wanted, subjects, rows, "war", rng) for rows in (best, worst))
    value = _war(right[best], wanted[best]) - _war(right[worst], wanted[worst])
    return {"value": round(value, 4), "interval_95": middle(high - low)}


def _war(right: npt.NDArray[np.bool_], wanted: npt.NDArray[np.int64]) -> float:
    return float(right.mean())


FIGURES: dict[str, Callable[[npt.NDArray[np.bool_], npt.NDArray[np.int64]], float]] = {
    "war": _war,
    "uar": uar,
}


def interval(
    right: npt.NDArray[np.bool_],
    wanted: npt.NDArray[np.int64],
    subjects: npt.NDArray[np.str_],
    rows: npt.NDArray[np.bool_],
    kind: str,
) -> dict[str, Any]:
    """ "war" or "uar" over ``rows`` with n and the middle 95 % of RESAMPLES draws of whole subjects.

    ``right``, ``wanted`` (class), ``subjects`` and ``rows`` (bool) all have one entry per clip. Where all or
    none are right no draw differs, and the interval is Wilson's over subjects; of fewer than MIN_PEOPLE there
    is none.
    """
    value, people = FIGURES[kind](right[rows], wanted[rows]), len(np.unique(subjects[rows]))
    bounds: list[float] | None = None
    if people >= MIN_PEOPLE and kind == "war" and value in (0.0, 1.0):
        bounds = wilson(value * people, people)
    elif people >= MIN_PEOPLE:
        bounds = middle(_draws(right, wanted, subjects, rows, kind, np.random.default_rng(0)))
    return {"n": int(rows.sum()), "value": round(value, 4), "interval_95": bounds}


def _draws(
    right: npt.NDArray[np.bool_],
    wanted: npt.NDArray[np.int64],
    subjects: npt.NDArray[np.str_],
    rows: npt.NDArray[np.bool_],
    kind: str,
    rng: np.random.Generator,
) -> npt.NDArray[np.float64]:
    """The figure (RESAMPLES,) of as many draws of whole subjects."""
    right, wanted, subjects = right[rows], wanted[rows], subjects[rows]
    _, person = np.unique(subjects, return_inverse=True)
    places = np.split(np.argsort(person, kind="stable"), np.cumsum(np.bincount(person))[:-1])
    drawn = []
    for _ in range(RESAMPLES):
        at = np.concatenate([places[k] for k in rng.integers(0, len(places), len(places))])
        drawn.append(FIGURES[kind](right[at], wanted[at]))
    return np.array(drawn)


def share(value: float, interval_95: Sequence[float] | None) -> str:
    """A figure as text, with its interval where there is one."""
    if interval_95 is None:
        return f"{value:.1%}"
    low, high = interval_95
    return f"{value:.1%} ({low:.1%} to {high:.1%})"


def table(found: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    names = list(found["precisions"])
    lines = [
        f"{found['clips']} clips of {found['dataset']}, {found['without_a_face']} of them without a face "
        "(counted as wrong)",
        "",
        "| figure | n | " + " | ".join(names) + " |",
        "|---|---|" + "---|" * len(names),
    ]

    def add(title: str, *keys: str) -> None:
        picked = [_at(found["precisions"][name], keys) for name in names]
        cells = [share(one["value"], one["interval_95"]) for one in picked]
        lines.append(f"| {title} | {picked[0]['n']} | " + " | ".join(cells) + " |")

    add("WAR", "war")
    add("UAR", "uar")
    add("WAR among the set's own labels", "war_among_its_labels")
    first = found["precisions"][names[0]]
    for label in first["classes"]:
        add(f"recall of {label}", "classes", label)
    for group, rows in first["groups"].items():
        for value in rows["values"]:
            add(f"{group}: {value}", "groups", group, "values", value)
        if rows["worst_gap"]:
            gaps = [share(**found["precisions"][name]["groups"][group]["worst_gap"]) for name in names]
            title = f"{group}: gap between best and worst (n >= {MIN_GROUP})"
            lines.append(f"| {title} | | " + " | ".join(gaps) + " |")
    return "\n".join(lines)


def _at(found: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        found = found[key]
    return found
