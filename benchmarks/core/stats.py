"""What latencies can be said to be: quantiles, ratios, differences and slopes, each with its doubt.

Latencies of one run are no independent draws: clocks, temperature and neighbors drift, so one slow frame
announces the next. An interval that counts every frame as a witness of its own is too narrow. The functions
here that compare resample or shuffle *blocks*, runs of consecutive samples, and take one number of a block as
one witness. A *round* of an interleaved measurement is such a block already.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
TAIL = 0.025  # on each side of an interval of 95 %
RESAMPLES = 1000
SLOWEST = 0.15  # of a block's turns, see `middle`; enough for three outliers in a block of 100 samples
Floats = NDArray[np.float64]
Rounds = Sequence[Sequence[float]]
Samples = Rounds | Sequence[float] | Floats


def summary(samples: ArrayLike) -> dict[str, Any]:
    """``n``, ``mean``, ``max`` and for each of QUANTILES ``value``, ``low`` and ``high``.

    The intervals of 95 % are distribution-free: they run from one order statistic to another (Hahn & Meeker,
    *Statistical Intervals*, 1991, section 5.2). A bound is None where there are too few samples for it. They
    assume independent samples of one distribution: they tell what a longer run under the same conditions
    would give, are too narrow where samples follow each other, and know nothing of tomorrow's conditions.
    Two runs are compared by ``permutation_p`` and ``ratio``, never by whether two such intervals overlap.

    Raises ValueError where there is no sample or one is not finite.
    """
    ordered = np.sort(_finite(samples))
    quantiles = {name: _quantile(ordered, share) for name, share in QUANTILES.items()}
    return {"n": len(ordered), "mean": float(ordered.mean()), "max": float(ordered[-1]), **quantiles}


def _quantile(ordered: Floats, share: float) -> dict[str, float | None]:
    low, high = (None if rank is None else float(ordered[rank - 1]) for rank in ranks(len(ordered), share))
    value = float(np.quantile(ordered, share))
    # Between very few samples the interpolated value can lie outside of its bounds.
    value = min(max(value, -inf if low is None else low), inf if high is None else high)
    return {"value": value, "low": low, "high": high}


@lru_cache(maxsize=64)
def ranks(n: int, share: float) -> tuple[int | None, int | None]:
    """Ranks from 1 of the order statistics around a quantile; None where ``n`` is too small for a bound.

    The number of samples below the quantile is binomial. The lower rank is too high with a
    probability of at most 2.5 %, and so is the upper one too low.
    """
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    k = np.arange(n + 1)
    log_choose = log_factorial[n] - log_factorial - log_factorial[::-1]
    below = np.cumsum(np.exp(log_choose + k * np.log(share) + (n - k) * np.log1p(-share)))
    low = int(np.searchsorted(below, TAIL, side="right"))
    high = int(np.searchsorted(below, 1 - TAIL, side="left")) + 1
    return (low or None), (high if high <= n else None)


def blocks(samples: ArrayLike, count: int = 20, turn: int = 1) -> Floats:
    """``middle`` of ``count`` runs of consecutive samples, of one turn each where there are fewer."""
    values = _finite(samples)
    parts = np.array_split(values, max(min(count, len(values) // turn), 1))
    return np.array([middle(part, turn) for part in parts])


def middle(samples: ArrayLike, turn: int = 1) -> float:
    """The mean over turns of ``turn`` consecutive samples, without the slowest SLOWEST of the turns.

    A median of single frames would be blind: where the detector works in every third frame, it is that of a
    frame without detection. So a sample is first averaged with those of its turn, which holds one of each
    kind; samples left over at the end are no turn. A plain mean would be deaf: one frame in a hundred that
    takes five times as long moves it by more than the change that is looked for. So at least one turn, an
    interrupted one if there is any, is left out; what happens in so few frames only is for p99 to tell.
    """
    return float(_middles(_finite(samples)[None], turn)[0])


def _middles(rounds: Floats, turn: int) -> Floats:
    """``middle`` of each row."""
    turn = min(turn, rounds.shape[1])
    whole = rounds[:, : rounds.shape[1] // turn * turn]
    means = np.sort(whole.reshape(len(rounds), -1, turn).mean(axis=2), axis=1)
    left_out = max(round(SLOWEST * means.shape[1]), 1)
    return np.asarray(means[:, : max(means.shape[1] - left_out, 1)].mean(axis=1))


def witnesses(side: Samples, turn: int = 1) -> Floats:
    """One number per block: ``middle`` of rounds, or of ``blocks`` where ``side`` is one run of samples."""
    if np.ndim(side[0]) == 0:
        return blocks(side, turn=turn)
    if len({np.size(one) for one in side}) == 1:  # the usual case, at once
        return _middles(_finite(side).reshape(len(side), -1), turn)
    return np.array([middle(one, turn) for one in side])


def ratio(slow: Rounds, fast: Rounds, seed: int = 0) -> dict[str, float]:
    """``value``, ``low`` and ``high`` of the median of all of ``slow`` over the median of all of ``fast``.

    The interval is a percentile bootstrap over blocks (Carlstein 1986), the blocks being the rounds. Where
    both sides have equally many, round i of one was measured beside round i of the other: they are drawn
    together, and the drift that both saw cancels. An only round is cut into 20 blocks. With 10 rounds
    the nominal 95 % hold in about 90 %, as percentile intervals of few blocks do.
    """
    over, under = _rounds(slow), _rounds(fast)
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(over), size=(RESAMPLES, len(over)))
    paired = len(under) == len(over)
    others = rows if paired else rng.integers(len(under), size=(RESAMPLES, len(under)))
    value = float(np.median(np.concatenate(over)) / np.median(np.concatenate(under)))
    return _interval(value, _drawn_medians(over, rows) / _drawn_medians(under, others))


def _rounds(side: Rounds) -> list[Floats]:
    rounds = [_finite(one) for one in side]
    return rounds if len(rounds) > 1 else list(np.array_split(rounds[0], min(20, len(rounds[0]))))


def _drawn_medians(rounds: list[Floats], draws: NDArray[np.int64]) -> Floats:
    """The median of all samples of each draw of rounds; sorts once, counts how often each was drawn."""
    samples, owner = np.concatenate(rounds), np.repeat(np.arange(len(rounds)), [len(one) for one in rounds])
    order = np.argsort(samples)
    samples, owner, found = samples[order], owner[order], np.empty(len(draws))
    for at, rows in enumerate(draws):
        reached = np.cumsum(np.bincount(rows, minlength=len(rounds))[owner])
        low = np.searchsorted(reached, reached[-1] / 2, side="left")
        high = np.searchsorted(reached, reached[-1] / 2, side="right")
        found[at] = (samples[low] + samples[high]) / 2
    return found


def permutation_p(a: Samples, b: Samples, seed: int = 0, permutations: int = 10_000, turn: int = 1) -> float:
    """How often a shuffle sets ``a`` and ``b`` as far apart as they are: two-sided, Monte Carlo.

    Whole blocks are shuffled, because single samples are not exchangeable: neighbors in time resemble each
    other, and shuffling them one by one finds a "significant" difference between any two runs. What remains
    between blocks (a drift over several rounds) makes p too small still; whoever raises an alarm needs a
    floor on the size of the change as well. ``witnesses`` are compared as logarithms, as latencies vary in
    proportion; as they are where one is 0 or less. The identity counts as one of the permutations, so that
    p is never 0 (Phipson & Smyth 2010).
    """
    before, after = witnesses(a, turn), witnesses(b, turn)
    pooled = np.concatenate([before, after])
    pooled = np.log(pooled) if pooled.min() > 0 else pooled
    found = abs(pooled[len(before) :].mean() - pooled[: len(before)].mean())
    pooled = pooled - pooled.mean()  # keeps the sums below exact where the values are large
    shuffled = np.abs(_shuffles(len(before), len(after), seed, permutations) @ pooled)
    ties = 1e-9 * np.abs(pooled).max()
    return float(1 + np.count_nonzero(shuffled >= found - ties)) / (1 + permutations)


@lru_cache(maxsize=4)
def _shuffles(before: int, after: int, seed: int, permutations: int) -> Floats:
    """Each row gives the difference of the means of one shuffle; kept, as metrics share them."""
    row = np.repeat([-1 / before, 1 / after], [before, after])
    return np.random.default_rng(seed).permuted(np.tile(row, (permutations, 1)), axis=1)


def slope(x: ArrayLike, y: ArrayLike, block: int = 10) -> dict[str, float]:
    """``value``, ``low`` and ``high`` of the least squares slope of ``y`` over ``x``, in order of time.

    The interval of 95 % is a moving-block bootstrap (Künsch 1989; Politis & Romano 1992 and 1994): pairs are
    drawn as runs of ``block`` neighbors, which keeps their correlation. Few blocks make it too narrow: ask
    for ten blocks or more. Raises ValueError where there are not two blocks, or ``x`` does not vary.
    """
    xs, ys = _finite(x), _finite(y)
    if len(xs) != len(ys) or len(xs) < 2 * block or np.ptp(xs) == 0:
        raise ValueError(f"{len(xs)} and {len(ys)} values, expected {2 * block} or more pairs that vary in x")
    starts = np.random.default_rng(0).integers(0, len(xs) - block + 1, (RESAMPLES, len(xs) // block))
    rows = (starts[..., None] + np.arange(block)).reshape(RESAMPLES, -1)
    return _interval(float(_slopes(xs, ys)), _slopes(xs[rows], ys[rows]))


def _slopes(x: Floats, y: Floats) -> Floats:
    centerd = x - x.mean(-1, keepdims=True)
    return np.asarray((centerd * y).sum(-1) / (centerd**2).sum(-1))


def _interval(value: float, drawn: Floats) -> dict[str, float]:
    low, high = np.quantile(drawn, [TAIL, 1 - TAIL])
    return {"value": value, "low": float(low), "high": float(high)}


def _finite(samples: ArrayLike) -> Floats:
    values = np.asarray(samples, np.float64).ravel()
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"{len(values)} samples, expected one or more, all of them finite")
    return values
