"""Intervals of 95 %: of draws, of a share, and of a mean of shares."""

from __future__ import annotations

from collections.abc import Sequence
from math import erf, sqrt

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
