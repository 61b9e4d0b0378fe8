"""What a viewer sees: changes, delay, answers without a face, by hand-made steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.metrics import on_screen
from export.metrics.intervals import clopper_pearson, poisson_above
from export.metrics.on_screen import NOTHING, UNSURE, Watched

pytestmark = pytest.mark.export


def watched(raw, shown=None, track=None) -> Watched:
    raw = np.array(raw)
    shown = raw if shown is None else np.array(shown)
    return Watched(
        np.maximum(raw, 0), raw, shown, np.zeros(len(raw), int) if track is None else np.array(track)
    )


def test_changes_count_on_one_track_and_through_uncertain() -> None:
    one = watched([0, 0, UNSURE, 0, 1, 1, NOTHING, NOTHING, 1, 2], track=[1, 1, 1, 1, 1, 1, -1, -1, 2, 2])
    found = on_screen.steadiness([one], "raw", 10)
    assert found["changes"] == 4, "the new track's first label is no change"
    assert found["steps"] == 8
    assert found["changes_per_s"] == 5.0
    assert found["uncertain"] == 0.125
    assert found["dwell_s"] == pytest.approx(0.1 * 7 / 5, abs=0.01)


def test_nothing_seen_is_no_fault() -> None:
    for seen in ([], [watched([NOTHING, NOTHING])]):
        found = on_screen.steadiness(seen, "shown", 10)
        assert (found["steps"], found["changes_per_s"], found["dwell_s"]) == (0, 0.0, 0.0)


def test_true_changes_and_how_much_later_they_are_shown() -> None:
    truth = np.array([0] * 5 + [1] * 5 + [2] * 5)
    raw = [0] * 5 + [0, 1, 1, 1, 1] + [2] * 5
    shown = [0] * 8 + [1] * 2 + [1] * 5
    found = on_screen.changes_shown([watched(raw, shown)], [truth], [np.ones(15, bool)])
    assert found["n"] == 2
    assert found["raw"] == {"reached": 1.0, "delay_steps": 0.5}
    assert found["shown"] == {"reached": 0.5, "delay_steps": 3.0}
    assert found["still_shown"] == 0.5
    assert found["later_steps"] == 2.0
    hidden = np.ones(15, bool)
    hidden[12] = False
    assert on_screen.changes_shown([watched(raw, shown)], [truth], [hidden])["n"] == 1


def test_false_answers_are_runs_without_a_face_and_a_blink_is_forgiven() -> None:
    gone = np.array([0, 0, 1, 1, 1, 1, 1, 1, 0, 0], bool)
    one = watched([0, 0, 0, 0, UNSURE, UNSURE, 1, 2, 0, 0])
    found = on_screen.false_answers([one], [gone], "shown", 10)
    assert (found["events"], found["steps_answered"]) == (2, 4)
    assert found["per_hour"] == pytest.approx(2 / (0.6 / 3600))
    later = on_screen.false_answers([one], [gone], "shown", 10, blink_s=0.3)
    assert (later["events"], later["steps_answered"]) == (1, 2)
    never = on_screen.false_answers([watched([1, 1, 1])], [np.ones(3, bool)], "shown", 10, blink_s=0.3)
    assert never["events"] == 1, "no face went, so that nothing is forgiven"


def test_bounds_are_the_exact_ones() -> None:
    assert poisson_above(0) == pytest.approx(2.9957, abs=1e-3)
    assert poisson_above(10) == pytest.approx(16.962, abs=1e-3)
    assert clopper_pearson(0, 10) == [0.0, 0.3085]
    assert on_screen.rate(0, 1.0)["upper_95"] == 3.0
    assert on_screen.rate(0, 0.0)["upper_95"] is None, "JSON knows no infinity"


@given(st.lists(st.integers(-2, 3), min_size=1, max_size=40), st.integers(0, 2**32 - 1))
def test_figures_stay_within_their_bounds(labels: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, gone = watched(labels), rng.random(len(labels)) < 0.5
    steady = on_screen.steadiness([one], "shown", 10)
    assert 0 <= steady["changes"] <= max(steady["steps"] - 1, 0)
    false = on_screen.false_answers([one], [gone], "shown", 10)
    assert false["events"] <= false["steps_answered"] <= gone.sum()
    kept = on_screen.kept([one], [~gone])
    assert 0 <= kept["without_estimate"] <= 1
    assert kept["answer_withheld"] == 0, "raw and shown are the same here"
