"""Smoothing baselines and their measures, where the right answer is known by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.export
pytest.importorskip("torch")

from export.metrics import smoothing  # noqa: E402


def sure(labels) -> np.ndarray:
    """Probabilities that are certain of ``labels`` (M,T)."""
    return np.eye(3, dtype=np.float32)[np.array(labels)]


def test_measures_by_hand() -> None:
    truth = np.array([[0, 0, 0, 1, 1, 1, 1, 2]])
    answer = np.array([[0, 1, 0, 0, 0, 1, 1, 0]])
    assert smoothing.measures(answer, truth) == {
        "accuracy": 0.5,
        "extra_changes": 3,  # of four, the one to 1 at step 5 is needed
        "delay_steps": (2 + 1) / 2,
    }


def test_missed_changes_make_up_for_no_needless_ones() -> None:
    truth = np.array([[0] * 8 + [1] * 8])
    asleep = np.zeros_like(truth)
    assert smoothing.measures(asleep, truth)["extra_changes"] == 0
    assert smoothing.measures(truth, truth)["extra_changes"] == 0
    late = np.array([[0] * 11 + [1] * 5])
    found = smoothing.measures(late, truth)
    assert (found["extra_changes"], found["delay_steps"]) == (0, 3)
    blinking = asleep.copy()
    blinking[0, 3] = 2
    assert smoothing.measures(blinking, truth)["extra_changes"] == 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=9, max_size=9), min_size=1, max_size=4))
def test_weak_smoothing_changes_nothing(labels) -> None:
    truth = np.array(labels)
    for smoothed in (
        smoothing.ema(sure(labels), 1.0),
        smoothing.majority_window(sure(labels), 1),
        smoothing.hidden_markov(sure(labels) + 1e-6, 1 / 3),
    ):
        np.testing.assert_array_equal(smoothed, truth)


def test_strong_smoothing_removes_a_flicker_and_delays_a_change() -> None:
    flicker, change = [0] * 6 + [1] + [0] * 6, [0] * 6 + [1] * 7
    for smooth in (
        lambda p: smoothing.ema(p, 0.3),
        lambda p: smoothing.majority_window(p, 5),
        lambda p: smoothing.hidden_markov(p * 0.4 + 0.2, 0.9),
    ):
        answer = smooth(sure([flicker, change]))
        assert (answer[0] == 0).all()
        found = smoothing.measures(answer[1:], np.array([change]))
        assert found["extra_changes"] == 0
        assert 1 <= found["delay_steps"] <= 4


def test_a_memory_that_is_right_is_ahead() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(rng.integers(0, 3, (40, 4)), 8, axis=1)
    noisy = rng.dirichlet([1, 1, 1], truth.shape).astype(np.float32) + 0.4 * sure(truth)
    blinking = truth.copy()
    blinking[:, [4, 12, 20]] = (truth[:, [4, 12, 20]] + 1) % 3
    every = np.tile(np.arange(32), (40, 1))
    found = smoothing.compare(sure(blinking), noisy, every, truth)
    assert found["recurrent"]["accuracy"] == pytest.approx(29 / 32, abs=1e-4)
    assert found["points_ahead"] > 2
    assert found["delay_share"] == 0
    low, high = found["points_ahead_95"]
    assert 0 < low < found["points_ahead"] < high
    own = smoothing.compare(noisy, noisy, every, truth)
    assert own["points_ahead"] < 0, "raw answers were called better than their own smoothing"


def test_no_delay_to_compare_with() -> None:
    still = np.zeros((3, 8), int)
    every = np.tile(np.arange(8), (3, 1))
    assert smoothing.compare(sure(still), sure(still), every, still)["delay_share"] is None


def test_smoothing_may_take_an_answer_once_however_long_it_stands() -> None:
    seen = sure([[0, 0, 1, 0, 0]])  # the wrong one stands for four steps
    shown = np.array([[0, 1, 2, 2, 2, 2, 3, 4]])
    truth = np.zeros((1, 8), int)
    found = smoothing.compare(sure([[0, 0, 0, 0, 0]]), seen, shown, truth)
    window = next(point for point in found["smoothing"]["majority"] if point["at"] == 3)
    assert window["accuracy"] == 1.0, "three of the four repeats outvoted what was seen"
    assert found["per_frame"]["accuracy"] == 0.5
    assert found["points_ahead"] == 0


def test_dropped_steps_hold_the_last_answer() -> None:
    kept = smoothing.kept_steps(3, 10, 0.3, np.random.default_rng(0))
    assert kept.shape == (3, 7)
    assert (kept[:, 0] == 0).all()
    p = kept[:, :, None].astype(np.float32)
    held = smoothing.standing(p, smoothing.shown_at(kept, np.arange(10)))[:, :, 0]
    for row, steps in zip(held, kept, strict=True):
        for at in range(10):
            assert row[at] == max(step for step in steps if step <= at)


def test_steps_are_made_as_the_runtime_makes_them() -> None:
    from export.card import measure_time

    rng = np.random.default_rng(0)
    steady = measure_time._due(3.2, measure_time.CAMERA_HZ, 10.0, rng)
    assert steady.shape == (measure_time.SEQUENCES, 32)
    assert (np.diff(steady, axis=1) == 3).all()
    shaky = measure_time._due(3.2, measure_time.SLOWEST_HZ, 10.0, rng)
    real = [row[row < 96] for row in shaky]
    assert all(row[0] == 0 and (np.diff(row) > 0).all() for row in real)
    assert 20 < np.mean([len(row) for row in real]) < 32, "slow frames make fewer steps, never more"


def test_unseen_faults_touch_frames_and_keep_their_form() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (40, 48, 48)).astype(np.uint8)
    made = smoothing.unseen(crops, np.random.default_rng(1))
    again = smoothing.unseen(crops, np.random.default_rng(1))
    assert made.shape == crops.shape
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, again)
    assert (made != crops).any(axis=(1, 2)).all()
