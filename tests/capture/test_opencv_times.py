"""Times of cameras rise whatever their drivers say."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.opencv import driver_time


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
