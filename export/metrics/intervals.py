"""Intervals of 95 %: of draws, of a share, of a mean of shares or rows, and of a temperature."""

from __future__ import annotations

from collections.abc import Sequence
from math import erf, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import require
from export import INSTALL

RESAMPLES = 1000  # of every bootstrap here
_LEVEL = erf(1.96 / sqrt(2))  # 1.96 standard deviations each way


def middle(drawn: npt.NDArray[np.float64]) -> list[float]:
    """The middle 95 % of ``drawn`` (N,): percentile bootstrap (Efron, Annals of Statistics 7, 1979)."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return [round(float(low), 4), round(float(high), 4)]


def wilson(right: float, n: int) -> list[float]:
    """95 % interval of the share ``right / n``; Wilson, J. Am. Stat. Assoc. 22 (1927)."""
    test = require("scipy.stats", INSTALL).binomtest(round(right), n)
    return [round(float(end), 4) for end in test.proportion_ci(_LEVEL, method="wilson")]


def wilson_of_mean(share: float, counts: Sequence[int]) -> list[float]:
    """95 % interval of the mean of shares that all are ``share``, 0 or 1, of ``counts`` trials each.

    The mean of the single intervals: wider than need be, while draws would show no uncertainty at all.
    """
    ends = np.mean([wilson(share * count, count) for count in counts], axis=0)
    return [round(float(end), 4) for end in ends]


def poisson_above(events: int) -> float:
    """One-sided 95 % upper bound of a Poisson mean after ``events``; Garwood, Biometrika 28 (1936).

    3.0 after none.
    """
    return float(require("scipy.stats", INSTALL).chi2.ppf(0.95, 2 * events + 2)) / 2


def clopper_pearson(right: int, n: int) -> list[float]:
    """Exact 95 % interval of the share ``right / n``; Clopper and Pearson, Biometrika 26 (1934)."""
    test = require("scipy.stats", INSTALL).binomtest(right, n)
    return [round(float(end), 4) for end in test.proportion_ci(0.95, method="exact")]


def of_mean(values: npt.NDArray[np.float64], groups: npt.NDArray[Any]) -> list[float]:
    """95 % interval of the mean of ``values`` (N,) by RESAMPLES draws of whole ``groups`` (N,)."""
    _, group = np.unique(groups, return_inverse=True)
    sums, counts, rng = np.bincount(group, values), np.bincount(group), np.random.default_rng(0)
    drawn = (rng.integers(0, len(sums), len(sums)) for _ in range(RESAMPLES))
    return middle(np.array([sums[at].sum() / counts[at].sum() for at in drawn]))


def of_temperature(
    logits: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    temperature: float,
    groups: npt.NDArray[Any],
) -> list[float]:
    """95 % interval of the ``temperature`` fitted to ``logits`` (N,K) and labels (N,) of ``groups`` (N,).

    Its inverse has the variance of the sandwich estimator (White, Econometrica 50, 1982), in which rows of
    one group count together (Liang and Zeger, Biometrika 73, 1986).
    """
    z = logits.astype(np.float64)
    p = np.exp(z / temperature - (z / temperature).max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    mean = (p * z).sum(axis=1)
    slope = z[np.arange(len(z)), labels] - mean
    _, group = np.unique(groups, return_inverse=True)
    spread = np.sqrt((np.bincount(group, slope) ** 2).sum()) / (p * (z - mean[:, None]) ** 2).sum()
    ends = (1 / temperature + 1.96 * spread, max(1 / temperature - 1.96 * spread, 0.01))
    return [round(float(1 / end), 4) for end in ends]
