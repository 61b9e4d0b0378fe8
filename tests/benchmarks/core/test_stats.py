"""The intervals hold what they promise, and a shuffle finds what is there."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.core import stats

DRAWS = {
    "normal": lambda rng, size: rng.normal(10, 1, size),
    "exponential": lambda rng, size: rng.exponential(1, size),
    "lognormal": lambda rng, size: rng.lognormal(0, 0.1, size),
    "ties": lambda rng, size: rng.integers(0, 5, size).astype(float),
}
seeds = st.integers(0, 2**32 - 1)


@given(st.integers(1, 200), st.sampled_from(sorted(stats.QUANTILES.values())))
@settings(deadline=None, max_examples=60)
def test_ranks_cover_95_percent_for_any_distribution(n: int, share: float) -> None:
    """Exactly, by the binomial distribution, and not with one rank more than it takes."""
    mass = [comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    low, high = stats.ranks(n, share)
    near = 1e-9  # of rounding
    if low is None:
        assert mass[0] > 0.025 - near
    else:
        assert sum(mass[:low]) <= 0.025 + near < sum(mass[: low + 1]) + 2 * near
    if high is None:
        assert mass[n] > 0.025 - near
    else:
        assert sum(mass[high:]) <= 0.025 + near < sum(mass[high - 1 :]) + 2 * near


@given(seeds, st.sampled_from(["normal", "exponential", "lognormal"]), st.integers(20, 300))
@settings(deadline=None, max_examples=4)
def test_the_interval_of_the_median_holds_it(seed: int, kind: str, n: int) -> None:
    rng = np.random.default_rng(seed)
    truth = {"normal": 10.0, "exponential": np.log(2), "lognormal": 1.0}[kind]
    found = [stats.summary(DRAWS[kind](rng, n))["p50"] for _ in range(200)]
    held = np.mean([one["low"] <= truth <= one["high"] for one in found])
    assert held >= 0.87  # at least 95 %, less five standard errors of 200 draws


@given(seeds, st.sampled_from(sorted(DRAWS)), st.integers(1, 3000))
@settings(deadline=None, max_examples=50)
def test_a_summary_is_in_order(seed: int, kind: str, n: int) -> None:
    samples = DRAWS[kind](np.random.default_rng(seed), n)
    found = stats.summary(samples)
    assert (found["n"], found["max"]) == (n, samples.max())
    assert found["mean"] == pytest.approx(samples.mean())
    for name in stats.QUANTILES:
        one = found[name]
        if one["value"] is None:
            assert n < 1000
            continue
        assert samples.min() <= one["value"] <= samples.max()
        assert one["low"] is None or one["low"] <= one["value"]
        assert one["high"] is None or one["high"] >= one["value"]


def test_few_samples_have_no_upper_bound() -> None:
    found = stats.summary(np.arange(100))
    assert found["p50"]["high"] is not None
    assert found["p99"]["high"] is None  # Hahn & Meeker: 368 samples for the upper bound of p99
    assert stats.summary(np.arange(368))["p99"]["high"] == 367
    assert stats.summary(np.arange(367))["p99"]["high"] is None


@pytest.mark.parametrize("samples", [[], [1.0, float("nan")], [float("inf")]])
def test_samples_that_are_none(samples: list[float]) -> None:
    for function in (stats.summary, stats.blocks):
        with pytest.raises(ValueError, match="finite"):
            function(samples)


def test_blocks_are_consecutive_and_shrug_at_outliers() -> None:
    samples = np.repeat(np.arange(20.0), 5)
    samples[::5] = 1000
    assert stats.blocks(samples).tolist() == list(range(20))
    assert stats.blocks([3, 1]).tolist() == [3, 1]


def rounds_of(rng: np.random.Generator, drift: np.ndarray, factor: float = 1) -> list[list[float]]:
    noise = rng.lognormal(0, 0.1, (len(drift), 50))
    return (factor * noise * np.exp(drift)[:, None]).tolist()


@given(seeds)
@settings(deadline=None, max_examples=2)
def test_the_interval_of_a_ratio_holds_it(seed: int) -> None:
    """At least 75 %: ten blocks give about 90, and 50 draws have a standard error of 4."""
    rng, held = np.random.default_rng(seed), 0
    for _ in range(50):
        drift = rng.normal(0, 0.05, 10)
        found = stats.ratio(rounds_of(rng, drift, 1.5), rounds_of(rng, drift))
        held += found["low"] <= 1.5 <= found["high"]
    assert held >= 37


def test_a_drift_that_both_sides_saw_cancels() -> None:
    rng = np.random.default_rng(3)
    drift = rng.normal(0, 0.3, 10)
    slow, fast = rounds_of(rng, drift, 1.5), rounds_of(rng, drift)
    paired, alone = stats.ratio(slow, fast), stats.ratio(slow, fast[:-1])
    assert paired["high"] - paired["low"] < (alone["high"] - alone["low"]) / 2
    assert paired == stats.ratio(slow, fast)


def test_drawn_medians_are_medians() -> None:
    rng = np.random.default_rng(6)
    rounds = [rng.integers(0, 9, size).astype(float) for size in (1, 4, 7, 2)]
    draws = rng.integers(4, size=(50, 4))
    expected = [np.median(np.concatenate([rounds[row] for row in rows])) for rows in draws]
    assert stats._drawn_medians(rounds, draws).tolist() == expected


def test_one_round_is_cut_into_blocks() -> None:
    samples = np.random.default_rng(4).lognormal(0, 0.1, 1000)
    found = stats.ratio([list(2 * samples)], [list(samples)])
    assert found == {"value": pytest.approx(2), "low": pytest.approx(2), "high": pytest.approx(2)}


def test_p_is_uniform_where_nothing_differs_and_small_where_it_does() -> None:
    rng = np.random.default_rng(5)
    ps = [stats.permutation_p(rng.normal(10, 1, 200), rng.normal(10, 1, 200)) for _ in range(300)]
    # The deviation from uniform that Kolmogorov & Smirnov allow 300 draws in 99.9 % of the cases is 0.11.
    assert np.abs(np.sort(ps) - np.linspace(0, 1, 300)).max() < 0.11
    assert stats.permutation_p(rng.normal(10, 1, 200), rng.normal(11, 1, 200)) < 0.001


@given(seeds, st.floats(0.001, 1000))
@settings(deadline=None, max_examples=20)
def test_p_knows_no_unit_and_no_order_of_sides(seed: int, unit: float) -> None:
    rng = np.random.default_rng(seed)
    a, b = rounds_of(rng, np.zeros(10)), rounds_of(rng, np.full(10, 0.02))
    p = stats.permutation_p(a, b)
    assert stats.permutation_p((unit * np.array(a)).tolist(), (unit * np.array(b)).tolist()) == p
    # Another shuffle is drawn for the other order: equal within the error of 10,000 of them.
    assert stats.permutation_p(b, a) == pytest.approx(p, abs=0.03)


def test_equal_sides_and_zeros() -> None:
    assert stats.permutation_p([[0.0]] * 10, [[0.0]] * 10) == 1
    assert stats.permutation_p([[7.0]] * 10, [[7.0]] * 10) == 1
    assert stats.permutation_p([[0.0]] * 10, [[1.0]] * 10) < 0.001


def test_rounds_of_different_lengths() -> None:
    assert stats.block_values([[1, 2, 3], [5]]).tolist() == [1.5, 5]
    assert stats.permutation_p([[1, 2, 3], [5]], [[1, 2], [5, 6, 7]]) > 0.2


def test_the_middle_of_a_round_is_that_of_whole_turns() -> None:
    turns = [1, 1, 7] * 10
    assert stats.middle(turns, 3) == 3
    assert stats.middle(turns[1:], 3) == 3, "wherever a turn begins"
    assert stats.middle([*turns, 1, 1], 3) == 3, "what is left over is no turn"
    turns[4] = turns[15] = 1000
    assert stats.middle(turns, 3) == 3
    assert stats.middle([5, 7], 3) == 6, "fewer samples than a turn has"
    assert stats.middle([5]) == 5


@given(seeds, st.floats(-5, 5))
@settings(deadline=None, max_examples=2)
def test_the_interval_of_a_slope_holds_it(seed: int, truth: float) -> None:
    """Noise that follows itself (AR(1), 0.5): 20 blocks hold the truth in about 90 %; at least 75 of 100."""
    rng, x, held = np.random.default_rng(seed), np.arange(200.0), 0
    for _ in range(100):
        noise = np.convolve(rng.normal(0, 1, 230), 0.5 ** np.arange(30))[30:230]
        found = stats.slope(x, truth * x + noise)
        held += found["low"] <= truth <= found["high"]
    assert held >= 75


def test_slopes_that_are_none() -> None:
    for x, y in (([1, 2], [1, 2]), ([1] * 40, range(40)), (range(40), range(39))):
        with pytest.raises(ValueError, match="pairs that vary"):
            stats.slope(x, y)


@pytest.mark.parametrize(
    ("share", "n", "low", "high"),
    [
        (0.0, 10, 0.0, 0.2775),
        (1.0, 10, 0.7225, 1.0),
        (0.5, 100, 0.4038, 0.5962),
        (0.86, 3157, 0.8475, 0.8717),
    ],
)
def test_wilson_gives_the_textbook_s_intervals(share: float, n: int, low: float, high: float) -> None:
    assert stats.share_interval(share, n) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("name", "least"), [("p50", 1), ("p90", 10), ("p95", 20), ("p99", 100), ("p99.9", 1000)]
)
def test_a_percentile_needs_a_sample_beyond_it(name: str, least: int) -> None:
    """77 samples have no p99: what stood there was interpolated toward the slowest one."""
    assert stats.summary(np.arange(least))[name]["value"] is not None
    if least > 1:
        few = stats.summary(np.arange(least - 1))[name]
        assert (few["value"], few["high"]) == (None, None)
        assert few["low"] is None or few["low"] < least - 1
