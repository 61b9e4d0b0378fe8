"""Statistics of latencies: quantiles, ratios, differences and slopes, each with its uncertainty.

Latencies of one run are not independent: clocks, temperature and neighbors drift, so one slow frame announces
the next. An interval that counts every frame as independent is too narrow. The functions that compare
therefore resample or shuffle *blocks*, runs of consecutive samples, and take one number per block. A *round*
of an interleaved measurement is such a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.errors import require

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
TAIL = 0.025  # on each side of a 95 % interval
RESAMPLES = 1000
SLOWEST = 0.15  # of a block's turns, see `middle`; enough for three outliers in a block of 100 samples
Floats = NDArray[np.float64]
Rounds = Sequence[Sequence[float]]
Samples = Rounds | Sequence[float] | Floats


def scipy_stats() -> Any:
    """The library behind the intervals; DependencyError if it is not installed."""
    return require("scipy.stats", "pip install 'emotion-edge[bench]'")


def summary(samples: ArrayLike) -> dict[str, Any]:
    """``n``, ``mean``, ``max``, and ``value``, ``low`` and ``high`` for each of QUANTILES.

    A value is None if no sample lies beyond it: p99 needs 100 samples, p99.9 a thousand.
    The 95 % intervals are distribution-free: they run from one order statistic to another (Hahn & Meeker,
    *Statistical Intervals*, 1991, section 5.2). A bound is None if there are too few samples for it.
    They assume independent samples of one distribution, so they are too narrow where samples are correlated.
    They predict a longer run under the same conditions, not tomorrow's run.
    Compare two runs with ``permutation_p`` and ``ratio``, never by whether two such intervals overlap.

    Raises ValueError if there is no sample or one is not finite.
    """
    ordered = np.sort(_finite(samples))
    quantiles = {name: _quantile(ordered, share) for name, share in QUANTILES.items()}
    return {"n": len(ordered), "mean": float(ordered.mean()), "max": float(ordered[-1]), **quantiles}


def _quantile(ordered: Floats, share: float) -> dict[str, float | None]:
    low, high = (None if rank is None else float(ordered[rank - 1]) for rank in ranks(len(ordered), share))
    if share > 0.5 and round(len(ordered) * (1 - share), 6) < 1:
        return {"value": None, "low": low, "high": None}
    value = float(np.quantile(ordered, share))
    # Between very few samples the interpolated value can lie outside its bounds.
    value = min(max(value, -inf if low is None else low), inf if high is None else high)
    return {"value": value, "low": low, "high": high}


@lru_cache(maxsize=64)
def ranks(n: int, share: float) -> tuple[int | None, int | None]:
    """Ranks from 1 of the order statistics around a quantile; None if ``n`` is too small for a bound.

    The number of samples below the quantile is binomial. The probability that the lower rank is too high is
    at most 2.5 %, and likewise that the upper rank is too low.
    """
    low, high = (int(rank) for rank in scipy_stats().binom.ppf([TAIL, 1 - TAIL], n, share))
    return (low or None), (high + 1 if high < n else None)


def share_interval(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of ``n`` independent trials (Wilson, JASA 22 (1927))."""
    interval = scipy_stats().binomtest(round(share * n), n).proportion_ci(1 - 2 * TAIL, "wilson")
    return float(interval.low), float(interval.high)


def median(rounds: Rounds) -> float:
    """The median of all samples."""
    return float(np.median(np.concatenate([np.asarray(samples) for samples in rounds])))


def blocks(samples: ArrayLike, count: int = 20, turn: int = 1) -> Floats:
    """``middle`` of ``count`` runs of consecutive samples, or of single turns if there are fewer."""
    values = _finite(samples)
    parts = np.array_split(values, max(min(count, len(values) // turn), 1))
    return np.array([middle(part, turn) for part in parts])


def middle(samples: ArrayLike, turn: int = 1) -> float:
    """The mean over turns of ``turn`` consecutive samples, without the slowest SLOWEST of the turns.

    If the detector runs in every third frame, the median of single frames ignores the detection. So samples
    are first averaged over a turn, which holds one frame of each kind; leftover samples at the end are
    ignored. A plain mean would be too sensitive: 1 % of frames that take five times as long move it by more
    than the change of interest. So at least one turn is left out; p99 covers rare slow frames.
    """
    return float(_middles(_finite(samples)[None], turn)[0])


def _middles(rounds: Floats, turn: int) -> Floats:
    """``middle`` of each row."""
    turn = min(turn, rounds.shape[1])
    whole = rounds[:, : rounds.shape[1] // turn * turn]
    means = np.sort(whole.reshape(len(rounds), -1, turn).mean(axis=2), axis=1)
    left_out = max(round(SLOWEST * means.shape[1]), 1)
    return np.asarray(means[:, : max(means.shape[1] - left_out, 1)].mean(axis=1))


def block_values(side: Samples, turn: int = 1) -> Floats:
    """One number per block: ``middle`` of each round, or ``blocks`` if ``side`` is one run of samples."""
    if np.ndim(side[0]) == 0:
        return blocks(side, turn=turn)
    if len({np.size(samples) for samples in side}) == 1:  # the usual case, vectorized
        return _middles(_finite(side).reshape(len(side), -1), turn)
    return np.array([middle(samples, turn) for samples in side])


def ratio(slow: Rounds, fast: Rounds, seed: int = 0) -> dict[str, float]:
    """``value``, ``low`` and ``high`` of the median of all of ``slow`` over the median of all of ``fast``.

    The interval is a percentile bootstrap over blocks (Carlstein 1986), the blocks being the rounds. If both
    sides have equally many, round i of one was measured next to round i of the other. They are then drawn
    together, which cancels common drift. A single round is cut into 20 blocks. With 10 rounds the nominal
    95 % cover about 90 %, as usual for percentile intervals of few blocks.
    """
    over, under = _rounds(slow), _rounds(fast)
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(over), size=(RESAMPLES, len(over)))
    paired = len(under) == len(over)
    others = rows if paired else rng.integers(len(under), size=(RESAMPLES, len(under)))
    value = float(np.median(np.concatenate(over)) / np.median(np.concatenate(under)))
    return _interval(value, _drawn_medians(over, rows) / _drawn_medians(under, others))


def _rounds(side: Rounds) -> list[Floats]:
    rounds = [_finite(samples) for samples in side]
    return rounds if len(rounds) > 1 else list(np.array_split(rounds[0], min(20, len(rounds[0]))))


def _drawn_medians(rounds: list[Floats], draws: NDArray[np.int64]) -> Floats:
    """The median of all samples in each draw of rounds; sorts once and counts how often each was drawn."""
    samples, owner = np.concatenate(rounds), np.repeat(np.arange(len(rounds)), [len(one) for one in rounds])
    order = np.argsort(samples)
    samples, owner, medians = samples[order], owner[order], np.empty(len(draws))
    for at, rows in enumerate(draws):
        reached = np.cumsum(np.bincount(rows, minlength=len(rounds))[owner])
        low = np.searchsorted(reached, reached[-1] / 2, side="left")
        high = np.searchsorted(reached, reached[-1] / 2, side="right")
        medians[at] = (samples[low] + samples[high]) / 2
    return medians


def permutation_p(a: Samples, b: Samples, seed: int = 0, permutations: int = 10_000, turn: int = 1) -> float:
    """The two-sided p of a Monte Carlo permutation test for a difference between ``a`` and ``b``.

    Whole blocks are shuffled, because neighboring samples are correlated and so not exchangeable: shuffling
    single samples finds a "significant" difference between any two runs. Correlation between blocks still
    makes p too small, so an alarm also needs a minimum size of the change. ``block_values`` are compared as
    logarithms, as latencies vary in proportion, or directly if one is 0 or less. The identity counts as one
    permutation, so p is never 0 (Phipson & Smyth 2010).
    """
    before, after = block_values(a, turn), block_values(b, turn)
    pooled = np.concatenate([before, after])
    pooled = np.log(pooled) if pooled.min() > 0 else pooled
    observed = abs(pooled[len(before) :].mean() - pooled[: len(before)].mean())
    pooled = pooled - pooled.mean()  # keeps the sums below exact for large values
    shuffled = np.abs(_shuffles(len(before), len(after), seed, permutations) @ pooled)
    ties = 1e-9 * np.abs(pooled).max()
    return float(1 + np.count_nonzero(shuffled >= observed - ties)) / (1 + permutations)


@lru_cache(maxsize=4)
def _shuffles(before: int, after: int, seed: int, permutations: int) -> Floats:
    """Rows of weights that give the difference of the means of one shuffle; cached, as metrics share them."""
    row = np.repeat([-1 / before, 1 / after], [before, after])
    return np.random.default_rng(seed).permuted(np.tile(row, (permutations, 1)), axis=1)


def slope(x: ArrayLike, y: ArrayLike, block: int = 10) -> dict[str, float]:
    """``value``, ``low`` and ``high`` of the least squares slope of ``y`` over ``x``, in order of time.

    The 95 % interval is a moving-block bootstrap (Künsch 1989; Politis & Romano 1992 and 1994): pairs are
    drawn in runs of ``block`` neighbors, which preserves their correlation. Use ten blocks or more; fewer
    make it too narrow. Raises ValueError for fewer than two blocks, or if ``x`` is constant.
    """
    xs, ys = _finite(x), _finite(y)
    if len(xs) != len(ys) or len(xs) < 2 * block or np.ptp(xs) == 0:
        raise ValueError(f"{len(xs)} and {len(ys)} values, expected {2 * block} or more pairs that vary in x")
    starts = np.random.default_rng(0).integers(0, len(xs) - block + 1, (RESAMPLES, len(xs) // block))
    rows = (starts[..., None] + np.arange(block)).reshape(RESAMPLES, -1)
    return _interval(float(_slopes(xs, ys)), _slopes(xs[rows], ys[rows]))


def _slopes(x: Floats, y: Floats) -> Floats:
    centered = x - x.mean(-1, keepdims=True)
    return np.asarray((centered * y).sum(-1) / (centered**2).sum(-1))


def _interval(value: float, drawn: Floats) -> dict[str, float]:
    low, high = np.quantile(drawn, [TAIL, 1 - TAIL])
    return {"value": value, "low": float(low), "high": float(high)}


def _finite(samples: ArrayLike) -> Floats:
    values = np.asarray(samples, np.float64).ravel()
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"{len(values)} samples, expected one or more, all of them finite")
    return values
