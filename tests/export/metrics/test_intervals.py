"""Intervals against textbook values."""

import numpy as np
import pytest

pytestmark = pytest.mark.export

from export.metrics.intervals import middle, wilson, wilson_of_mean  # noqa: E402


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


def test_a_mean_of_shares_is_as_uncertain_as_its_shares() -> None:
    assert wilson_of_mean(1.0, [20]) == wilson(20, 20)
    ends = wilson_of_mean(1.0, [10, 40])
    assert ends == pytest.approx([(wilson(10, 10)[0] + wilson(40, 40)[0]) / 2, 1.0], abs=1e-4)
    assert wilson_of_mean(0.0, [10])[1] == pytest.approx(1 - wilson(10, 10)[0], abs=1e-4)
