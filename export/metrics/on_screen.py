"""What a viewer sees over time: how often the label changes, how late it is, and answers where no face is.

A ``Watched`` holds one face's steps by three rules side by side, from one run: the likeliest class, the raw
label (uncertain below the bundle's threshold), and the label that is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from export.metrics.intervals import poisson_above

Labels = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
UNSURE, NOTHING = -1, -2  # beside the labels 0..K-1: "uncertain", and no estimate at all
RULES = ("likeliest", "raw", "shown")
BLINK_S = 0.3  # a lid is closed for 0.1 to 0.4 s (Schiffman, Sensation and Perception, 2000)


@dataclass(frozen=True)
class Watched:
    """Steps (T,) of one face: labels by each of RULES, 0..K-1, UNSURE or NOTHING; ``track`` (T,) ids."""

    likeliest: Labels
    raw: Labels
    shown: Labels
    track: Labels

    def by(self, rule: str) -> Labels:
        """The labels (T,) by one of RULES."""
        return np.asarray(getattr(self, rule))


def steadiness(seen: Sequence[Watched], rule: str, step_hz: float) -> dict[str, float]:
    """Changes a second, shares of uncertain and answered steps, mean dwell of a label in seconds.

    Only steps with an estimate count. A change is a step whose label differs from the one before on the same
    track, "uncertain" included; a dwell is an unbroken run of one label that is none.
    """
    changes = steps = unsure = runs = 0
    for one in seen:
        there = one.by(rule) != NOTHING
        labels, track = one.by(rule)[there], one.track[there]
        differs = (labels[1:] != labels[:-1]) & (track[1:] == track[:-1])
        begins = np.concatenate([[True], (labels[1:] != labels[:-1]) | (track[1:] != track[:-1])])
        changes, steps = changes + int(differs.sum()), steps + len(labels)
        unsure += int((labels == UNSURE).sum())
        runs += int((begins[: len(labels)] & (labels >= 0)).sum())
    seconds = steps / step_hz
    return {
        "steps": steps,
        "changes": changes,
        "changes_per_s": round(changes / seconds, 3) if steps else 0.0,
        "uncertain": round(unsure / steps, 4) if steps else 0.0,
        "dwell_s": round((steps - unsure) / step_hz / runs, 2) if runs else 0.0,
    }


def rightness(seen: Sequence[Watched], truth: Sequence[Labels], counts: Sequence[Bools]) -> dict[str, Any]:
    """Of each rule: share of the steps that ``counts`` (T,) with an answer, and of these the right ones."""
    figures = {}
    for rule in RULES:
        given = np.concatenate([one.by(rule)[rows] for one, rows in zip(seen, counts, strict=True)])
        wanted = np.concatenate([one[rows] for one, rows in zip(truth, counts, strict=True)])
        answered = given >= 0
        figures[rule] = {
            "answered": round(float(answered.mean()), 4),
            "right_of_answered": round(float((given == wanted)[answered].mean()), 4)
            if answered.any()
            else None,
        }
    return figures


def changes_shown(
    seen: Sequence[Watched], truth: Sequence[Labels], counts: Sequence[Bools]
) -> dict[str, Any]:
    """True changes of ``truth`` (T,): how many each rule shows before the next, and after how many steps.

    ``still_shown`` is the share of those that the raw label shows which the shown label shows, too;
    ``later_steps`` how much later, on average and at the 95th percentile. Changes whose steps do not all
    count (the face was hidden) are left out.
    """
    first: dict[str, list[int]] = {rule: [] for rule in RULES}  # steps after the change, -1 for never
    for one, wanted, rows in zip(seen, truth, counts, strict=True):
        starts = np.flatnonzero(wanted[1:] != wanted[:-1]) + 1
        for begin, end in pairwise([*starts, len(wanted)]):
            if not rows[begin:end].all() or begin == 0:
                continue
            for rule in RULES:
                hits = np.flatnonzero(one.by(rule)[begin:end] == wanted[begin])
                first[rule].append(int(hits[0]) if len(hits) else -1)
    at = {rule: np.array(steps, np.int64) for rule, steps in first.items()}
    figures: dict[str, Any] = {"n": len(at["raw"])}
    for rule, steps in at.items():
        hit = steps >= 0
        figures[rule] = {
            "reached": round(float(hit.mean()), 4) if len(hit) else None,
            "delay_steps": round(float(steps[hit].mean()), 2) if hit.any() else None,
        }
    raw, shown = at["raw"] >= 0, at["shown"] >= 0
    both = raw & shown
    later = (at["shown"] - at["raw"])[both]
    figures["still_shown"] = round(float(shown[raw].mean()), 4) if raw.any() else None
    figures["later_steps"] = round(float(later.mean()), 2) if both.any() else None
    figures["later_steps_p95"] = round(float(np.quantile(later, 0.95)), 1) if both.any() else None
    return figures


def false_answers(
    seen: Sequence[Watched], gone: Sequence[Bools], rule: str, step_hz: float, blink_s: float = 0.0
) -> dict[str, float | None]:
    """Answers at steps without a face (``gone`` (T,)): unbroken runs of them and steps, by the hour.

    With ``blink_s`` the first steps after a face went do not count, as it may be a blink.
    """
    skip, runs, steps, answered = round(blink_s * step_hz), 0, 0, 0
    for one, rows in zip(seen, gone, strict=True):
        counts = rows.copy()
        for begin in np.flatnonzero(rows[1:] & ~rows[:-1]) + 1:
            counts[begin : begin + skip] = False
        said = counts & (one.by(rule) >= 0)
        steps, answered = steps + int(counts.sum()), answered + int(said.sum())
        runs += int((said & ~np.concatenate([[False], said[:-1]])).sum())
    return {**rate(runs, steps / step_hz / 3600), "steps_answered": answered}


def rate(events: int, hours: float) -> dict[str, float | None]:
    """Events an hour with the one-sided exact upper bound of 95 % by Poisson's law; None in no time."""
    if not hours:
        return {"hours": 0.0, "events": events, "per_hour": None, "upper_95": None}
    bound = poisson_above(events) / hours
    return {
        "hours": round(hours, 4),
        "events": events,
        "per_hour": round(events / hours, 2),
        "upper_95": round(bound, 2),
    }


def kept(seen: Sequence[Watched], there: Sequence[Bools]) -> dict[str, float]:
    """Steps with a face (``there`` (T,)): shares without any estimate, and with a raw but no shown answer."""
    raw = np.concatenate([one.raw[rows] for one, rows in zip(seen, there, strict=True)])
    shown = np.concatenate([one.shown[rows] for one, rows in zip(seen, there, strict=True)])
    return {
        "steps": len(raw),
        "without_estimate": round(float((shown == NOTHING).mean()), 4) if len(raw) else 0.0,
        "answer_withheld": round(float(((raw >= 0) & (shown < 0)).mean()), 4) if len(raw) else 0.0,
    }
