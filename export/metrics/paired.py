"""Figures on pairs: is the expression told from the same person's neutral face?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from export.metrics.intervals import RESAMPLES, middle, wilson
from export.metrics.set_report import MIN_PEOPLE, Answers, by_group

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """Probabilities (N,K) of the neutral and the expressive picture of N persons, and the ``expression``.

    ``expression`` is its place among the ``labels``.
    """

    neutral: Float64
    expressive: Float64
    labels: Sequence[str]
    expression: int

    def figures(self, groups: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """Labels and order side by side, whole and by each of the ``groups`` of each person.

        ``worst_gap`` is how far the best large group is ahead of the worst in expressive pictures called so.
        """
        members: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for at, one in enumerate(groups):
            for group, value in one.items():
                members[group][value].append(at)
        called = self._answers(self.expressive.argmax(axis=1) == self.expression)
        answers = Counter(self.labels[k] for k in self.expressive.argmax(axis=1))
        return {
            **self._whole(),
            "answers_to_expressive": dict(answers.most_common()),
            "groups": {
                group: {
                    "values": {value: self._among(at)._whole() for value, at in sorted(values.items())},
                    "worst_gap": by_group(called, values)["worst_gap"],
                }
                for group, values in sorted(members.items())
            },
        }

    def _among(self, rows: Sequence[int]) -> Paired:
        return Paired(self.neutral[rows], self.expressive[rows], self.labels, self.expression)

    def _whole(self) -> dict[str, Any]:
        before, after = log_odds(self.neutral, self.expression), log_odds(self.expressive, self.expression)
        rows = {
            "expressive_called": self.expressive.argmax(axis=1) == self.expression,
            "neutral_called": self.neutral.argmax(axis=1) == self.expression,
            "in_order": after > before,
        }
        shares = {name: self._answers(right).interval() for name, right in rows.items()}
        return {**shares, "auc": _auc_of_persons(before, after)}

    @staticmethod
    def _answers(right: npt.NDArray[np.bool_]) -> Answers:
        return Answers(right, np.zeros(len(right), np.int64), np.arange(len(right)))


def log_odds(p: Float64, label: int) -> Float64:
    """Log-odds (N,) of ``label`` against all others, of probabilities (N,K): steep where these end at 1."""
    others = np.delete(p, label, axis=1).sum(axis=1)
    return np.asarray(np.log(np.maximum(p[:, label], 1e-300)) - np.log(np.maximum(others, 1e-300)))


def auc(before: Float64, after: Float64) -> float:
    """Chance that one of ``after`` (N,) is above one of ``before`` (M,); an equal one counts half.

    Mann and Whitney, Annals of Mathematical Statistics 18 (1947).
    """
    ordered = np.sort(before)
    below = np.searchsorted(ordered, after, "left") + np.searchsorted(ordered, after, "right")
    return float(below.mean()) / (2 * len(before))


def _auc_of_persons(before: Float64, after: Float64) -> dict[str, Any]:
    """AUC over all persons with the middle 95 % of draws of persons; where it is 0 or 1, as of a share."""
    value, count, rng = auc(before, after), len(before), np.random.default_rng(0)
    bounds: list[float] | None = None
    if count >= MIN_PEOPLE and value in (0.0, 1.0):
        bounds = wilson(value * count, count)
    elif count >= MIN_PEOPLE:
        drawn = (rng.integers(0, count, count) for _ in range(RESAMPLES))
        bounds = middle(np.array([auc(before[at], after[at]) for at in drawn]))
    return {"n": count, "value": round(value, 4), "interval_95": bounds}
