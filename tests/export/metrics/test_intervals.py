"""Intervals against textbook values."""

import numpy as np
import pytest

pytestmark = pytest.mark.export

from export.metrics.intervals import middle, wilson  # noqa: E402


def test_wilson() -> None:
    low, high = wilson(8, 10)
    assert (low, high) == pytest.approx((0.490, 0.943), abs=1e-3)
    assert wilson(0, 5)[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("n", [1, 5, 13, 81, 3157])
def test_wilson_by_its_formula(n: int) -> None:
    z = 1.96
    for right in {0, 1, n // 3, n - 1, n}:
        p = right / n
        center, spread = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        ends = [(end / (1 + z * z / n)) for end in (center - spread, center + spread)]
        assert wilson(right, n) == pytest.approx([round(end, 4) for end in ends], abs=1e-9)


def test_middle() -> None:
    assert middle(np.linspace(0, 1, 1001)) == [0.025, 0.975]
