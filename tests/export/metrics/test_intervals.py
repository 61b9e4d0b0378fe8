"""Intervals against textbook values."""

import numpy as np
import pytest

pytestmark = pytest.mark.export

from export.metrics.intervals import middle, wilson  # noqa: E402


def test_wilson() -> None:
    low, high = wilson(8, 10)
    assert (low, high) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert wilson(0, 5)[0] == pytest.approx(0, abs=1e-9)


def test_middle() -> None:
    assert middle(np.linspace(0, 1, 1001)) == [0.025, 0.975]
