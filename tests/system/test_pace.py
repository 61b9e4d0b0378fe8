"""The pace of a source: limits never undercut it, and no stall, burst or jump of a clock distorts it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.system.pace import Pace

PERIODS_S = st.floats(0.005, 60)


def paced(gaps_s: list[float], start_s: float = 100.0) -> Pace:
    pace = Pace()
    for stamp_s in np.cumsum([start_s, *gaps_s]):
        pace.see(float(stamp_s))
    return pace


def test_without_two_frames_a_limit_stays() -> None:
    assert paced([]).at_least(0.8) == 0.8
    assert Pace().period_s == 0


@pytest.mark.parametrize(("fps", "limit_s"), [(30, 0.8), (4, 0.8), (1, 2.5), (0.2, 12.5)])
def test_a_limit_is_at_least_two_and_a_half_periods(fps: float, limit_s: float) -> None:
    for count in (1, 2, 30):
        assert paced([1 / fps] * count).at_least(0.8) == pytest.approx(limit_s)


@given(PERIODS_S, st.lists(st.floats(0.8, 1.2), min_size=1, max_size=40))
def test_an_irregular_pace_is_never_undercut(period_s: float, jitter: list[float]) -> None:
    """Not even where a frame is missed: two periods fit, be they long ones."""
    limit_s = paced([period_s * share for share in jitter]).at_least(0.0)
    assert 2 * 0.8 * period_s <= limit_s <= 2.5 * 1.2 * period_s * 1.001


@given(PERIODS_S, st.lists(st.integers(0, 39), max_size=3, unique=True), st.floats(1, 1e5))
def test_stalls_and_jumps_of_a_clock_do_not_inflate_it(
    period_s: float, stalls: list[int], stall_s: float
) -> None:
    """The first gaps are another matter: of one, nobody knows which it is."""
    gaps_s = [period_s] * 8 + [period_s + stall_s * (i in stalls) for i in range(40)]
    pace = Pace()
    now_s = 100.0
    for gap_s in gaps_s:
        pace.see(now_s)
        now_s += gap_s
        assert pace.period_s == pytest.approx(period_s, rel=1e-3) or pace.period_s == 0


@given(PERIODS_S, st.floats(0, 1e6))
def test_a_clock_that_goes_back_leaves_the_pace(period_s: float, back_s: float) -> None:
    assert paced([period_s] * 6 + [-back_s] + [period_s] * 2).period_s == pytest.approx(period_s, rel=1e-3)


@given(st.integers(2, 4), st.floats(0.2, 10))
def test_of_bursts_the_wait_between_them_counts(frames: int, wait_s: float) -> None:
    pace = paced(([0.01] * (frames - 1) + [wait_s]) * 20)
    assert pace.at_least(0.0) >= 2 * wait_s
