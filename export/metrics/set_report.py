"""Figures of a labeled set with bootstrap intervals: whole, per class, per group of people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import getitem
from typing import Any

import numpy as np
import numpy.typing as npt

from export.data.datasets import Clip
from export.metrics.accuracy import uar
from export.metrics.intervals import RESAMPLES, middle, wilson_of_mean

MIN_GROUP = 30  # clips under which a group's figure is left out of the gap
MIN_PEOPLE = 5  # with fewer, there is no interval


def _war(right: npt.NDArray[np.bool_], wanted: npt.NDArray[np.int64]) -> float:
    return float(right.mean())


Figure = Callable[[npt.NDArray[np.bool_], npt.NDArray[np.int64]], float]
FIGURES: dict[str, Figure] = {"war": _war, "uar": uar}


@dataclass(frozen=True)
class Answers:
    """Per clip: whether the answer is ``right`` (N,), the ``wanted`` class and who the ``subject`` is."""

    right: npt.NDArray[np.bool_]
    wanted: npt.NDArray[np.int64]
    subject: npt.NDArray[Any]

    def among(self, rows: npt.NDArray[Any]) -> Answers:
        """Those of ``rows``, a mask or places."""
        return Answers(self.right[rows], self.wanted[rows], self.subject[rows])

    def value(self, kind: str) -> float:
        """ "war" or "uar"."""
        return FIGURES[kind](self.right, self.wanted)

    def interval(self, kind: str = "war") -> dict[str, Any]:
        """ "war" or "uar" with n and the middle 95 % of RESAMPLES draws of whole subjects.

        Where all or none are right no draw differs, and the interval is Wilson's over subjects; of fewer
        than MIN_PEOPLE there is none.
        """
        value, people = self.value(kind), len(np.unique(self.subject))
        bounds: list[float] | None = None
        if people >= MIN_PEOPLE and value in (0.0, 1.0):
            bounds = wilson_of_mean(value, self._people(kind))
        elif people >= MIN_PEOPLE:
            bounds = middle(self.draws(kind, np.random.default_rng(0)))
        return {"n": len(self.right), "value": round(value, 4), "interval_95": bounds}

    def _people(self, kind: str) -> list[int]:
        """The number of subjects, for "uar" in each class."""
        classes = [self.wanted == k for k in np.unique(self.wanted)] if kind == "uar" else [slice(None)]
        return [len(np.unique(self.subject[rows])) for rows in classes]

    def draws(self, kind: str, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """The figure (RESAMPLES,) of as many draws of whole subjects."""
        _, person = np.unique(self.subject, return_inverse=True)
        places = np.split(np.argsort(person, kind="stable"), np.cumsum(np.bincount(person))[:-1])
        drawn = []
        for _ in range(RESAMPLES):
            at = np.concatenate([places[k] for k in rng.integers(0, len(places), len(places))])
            drawn.append(FIGURES[kind](self.right[at], self.wanted[at]))
        return np.array(drawn)


def report(p: npt.NDArray[np.float32], clips: Sequence[Clip], labels: Sequence[str]) -> dict[str, Any]:
    """WAR, UAR, recall per class and per group, each with a bootstrap interval.

    WAR is the share of right clips (weighted average recall), UAR the mean recall of the classes that the
    set has. A clip without a face counts as wrong. Where subjects are known, whole subjects are drawn:
    clips of one person are not independent.
    """
    wanted = np.array([list(labels).index(clip.label) for clip in clips])
    missing = np.isnan(p[:, 0])
    right = np.where(missing, -1, np.nan_to_num(p).argmax(axis=1)) == wanted
    among = np.isin(np.arange(len(labels)), wanted)
    closed = np.where(missing, -1, np.where(among, np.nan_to_num(p), -1).argmax(axis=1)) == wanted
    answers = Answers(right, wanted, np.array([clip.subject or str(at) for at, clip in enumerate(clips)]))
    members: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for at, clip in enumerate(clips):
        for group, value in clip.groups.items():
            members[group][value].append(at)
    return {
        "war": answers.interval(),
        "uar": answers.interval("uar"),
        "war_among_its_labels": replace(answers, right=closed).interval(),
        "classes": {labels[k]: answers.among(wanted == k).interval() for k in np.unique(wanted)},
        "groups": {group: by_group(answers, values) for group, values in sorted(members.items())},
    }


def by_group(answers: Answers, members: Mapping[str, list[int]]) -> dict[str, Any]:
    """WAR of each group, and how far the best large one is ahead of the worst.

    A difference, not a range: draws of equal groups go below 0, and the interval then holds 0.
    Being chosen for their figures still makes the two look further apart than they are.
    """
    inside = {value: answers.among(np.array(at)) for value, at in sorted(members.items())}
    rows = {value: one.interval() for value, one in inside.items()}
    large = [value for value, row in rows.items() if row["n"] >= MIN_GROUP and row["interval_95"]]
    gap: dict[str, Any] = {}
    if len(large) > 1:
        pair = [inside[choose(large, key=lambda value: float(rows[value]["value"]))] for choose in (max, min)]
        rng = np.random.default_rng(0)  # one for both groups: equal draws would hide how they scatter
        high, low = (one.draws("war", rng) for one in pair)
        difference = pair[0].value("war") - pair[1].value("war")
        bounds = middle(high - low)
        if bounds[0] == bounds[1]:  # no draw differs, which is no certainty
            (low_a, high_a), (low_b, high_b) = (one.interval()["interval_95"] for one in pair)
            bounds = [round(low_a - high_b, 4), round(high_a - low_b, 4)]
        gap = {"value": round(difference, 4), "interval_95": bounds}
    return {"values": rows, "worst_gap": gap}


def share(value: float, interval_95: Sequence[float] | None) -> str:
    """A figure as text, with its interval where there is one."""
    if interval_95 is None:
        return f"{value:.1%}"
    low, high = (f"{end:.1%}" for end in interval_95)
    return f"{value:.1%} ({low} to {high})" if low != high else f"{value:.1%} (within 0.1 points)"


def table(figures: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    names = list(figures["precisions"])
    lines = [
        f"{figures['clips']} clips of {figures['dataset']}, {figures['without_a_face']} of them "
        "without a face (counted as wrong)",
        "",
        "| figure | n | " + " | ".join(names) + " |",
        "|---|---|" + "---|" * len(names),
    ]

    def add(title: str, *keys: str) -> None:
        rows = [reduce(getitem, keys, figures["precisions"][name]) for name in names]
        cells = [share(row["value"], row["interval_95"]) for row in rows]
        lines.append(f"| {title} | {rows[0]['n']} | " + " | ".join(cells) + " |")

    add("WAR", "war")
    add("UAR", "uar")
    add("WAR among the set's own labels", "war_among_its_labels")
    first = figures["precisions"][names[0]]
    for label in first["classes"]:
        add(f"recall of {label}", "classes", label)
    for group, rows in first["groups"].items():
        for value in rows["values"]:
            add(f"{group}: {value}", "groups", group, "values", value)
        if rows["worst_gap"]:
            gaps = [share(**figures["precisions"][name]["groups"][group]["worst_gap"]) for name in names]
            title = f"{group}: gap between best and worst (n >= {MIN_GROUP})"
            lines.append(f"| {title} | | " + " | ".join(gaps) + " |")
    return "\n".join(lines)
