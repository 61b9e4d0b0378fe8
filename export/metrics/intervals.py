"""Intervals of 95 %: of draws, and of a share."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt

RESAMPLES = 1000  # of every bootstrap here


def middle(drawn: npt.NDArray[np.float64]) -> list[float]:
    """The middle 95 % of ``drawn`` (N,): percentile bootstrap (Efron, Annals of Statistics 7, 1979)."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return [round(float(low), 4), round(float(high), 4)]


def wilson(right: float, n: int) -> list[float]:
    """95 % interval of the share ``right / n``; Wilson, J. Am. Stat. Assoc. 22 (1927)."""
    z, p = 1.96, right / n
    centre, spread = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [round(edge / (1 + z * z / n), 4) for edge in (centre - spread, centre + spread)]
