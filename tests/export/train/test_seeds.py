"""Figures over seeds, where the right answer is known by hand."""

import numpy as np
import pytest

pytestmark = pytest.mark.export
seeds = pytest.importorskip("export.train.seeds")


def test_each_seed_and_the_mean() -> None:
    wanted = np.array([0, 0, 0, 1])
    right = np.array([[True, True, True, False], [True, True, True, True]])
    accuracy, uar = (seeds._interval(right, wanted, kind) for kind in ("war", "uar"))
    assert accuracy["each"] == [0.75, 1.0]
    assert accuracy["mean"] == 0.875
    assert uar["each"] == [0.5, 1.0]


def test_the_interval_knows_the_scatter_of_seeds() -> None:
    """Half of the seeds right on all faces, half on none: no draw of faces alone would show it."""
    wanted = np.zeros(1000, int)
    alike = np.random.default_rng(0).random((4, 1000)) < 0.5
    apart = np.repeat([[True], [False], [True], [False]], 1000, axis=1)
    narrow, wide = (seeds._interval(right, wanted, "war")["interval_95"] for right in (alike, apart))
    assert narrow[1] - narrow[0] < 0.08
    assert wide == [0.0, 1.0]


@pytest.mark.parametrize(("right", "other_end"), [(True, 0.772), (False, 0.228)])
def test_a_class_that_every_seed_hits_or_misses_is_no_certainty(right: bool, other_end: float) -> None:
    low, high = seeds._interval(np.full((3, 13), right), np.zeros(13, int), "war")["interval_95"]
    assert (low, high) == (pytest.approx((other_end, 1.0) if right else (0.0, other_end), abs=1e-3))
