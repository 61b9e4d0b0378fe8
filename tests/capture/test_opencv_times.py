"""Times of clips and cameras rise whatever is said of them; short clips are told from whole ones."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.opencv import container_time, driver_time, is_short


@given(st.lists(st.one_of(st.floats(), st.floats(0, 1e5)), max_size=50), st.floats(1, 240))
def test_times_rise_whatever_the_container_says(positions_ms: list[float], fps: float) -> None:
    last_s: float | None = None
    for position_ms in positions_ms:
        stamp_s = container_time(position_ms, last_s, fps)
        assert math.isfinite(stamp_s)
        assert stamp_s >= 0
        assert last_s is None or stamp_s > last_s or last_s > 1e12  # there a period is below one ulp
        last_s = stamp_s


def test_a_silent_container_is_timed_by_its_rate() -> None:
    last_s = None
    for i in range(50):
        last_s = container_time(0.0, last_s, 25.0)
        assert last_s == pytest.approx(i / 25)


@pytest.mark.parametrize(
    ("read", "promised", "short"),
    [(77, 78, False), (95, 98, False), (1394, 1390, False), (5, 0, False), (40, 78, True), (5, 9, True)],
)
def test_short(read: int, promised: int, short: bool) -> None:
    assert is_short(read, promised) == short


@given(st.integers(0, 10**5), st.integers(0, 10**5))
def test_short_at_any_length(promised: int, lost: int) -> None:
    short = is_short(promised - lost, promised)
    if lost <= max(2, 0.03 * promised):
        assert not short, "whole clips miss this many frames"
    if lost > max(2, 0.1 * promised):
        assert short, "a tenth is gone"
    assert is_short(promised - lost - 1, promised) >= short, "one frame fewer is no longer short"


@given(st.lists(st.tuples(st.floats(), st.floats(1e-3, 5)), max_size=50))
def test_driver_times_rise_whatever_the_driver_says(frames: list[tuple[float, float]]) -> None:
    last_s, now_s = None, 1000.0
    for position_ms, later_s in frames:
        now_s += later_s
        stamp_s = driver_time(position_ms, last_s, now_s)
        assert now_s - 10 < stamp_s <= now_s
        assert last_s is None or stamp_s > last_s
        last_s = stamp_s


@pytest.mark.parametrize(
    ("stamp_s", "last_s", "taken"),
    [
        (99.98, 99.95, True),
        (99.98, None, True),
        (99.98, 99.98, False),
        (0.0, None, False),
        (100.001, None, False),
        (89.0, None, False),
        (1.7e9, None, False),
        (math.nan, None, False),
    ],
)
def test_a_driver_time_is_taken_where_it_can_be_right(
    stamp_s: float, last_s: float | None, taken: bool
) -> None:
    assert driver_time(1000 * stamp_s, last_s, 100.0) == pytest.approx(stamp_s if taken else 100.0)
