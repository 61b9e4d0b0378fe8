"""Calibration and threshold, where the right answer is known by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.export
pytest.importorskip("onnx")

from export.metrics import accuracy, intervals  # noqa: E402


def surely(shares: list[float], right: list[bool]) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N,2) that give class 0 these shares, and labels that are 0 where it is ``right``."""
    p = np.array(shares)
    return np.log(np.stack([p, 1 - p], axis=1)).astype(np.float32), np.where(right, 0, 1)


NOTHING = np.array([[0.02, 0]] * 4, np.float32)  # logits that hardly say anything


def test_the_temperature_undoes_what_scaled_the_logits() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20000, 4)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(4, p=row / row.sum()) for row in p])
    assert accuracy.fit_temperature(logits, labels) == pytest.approx(1, abs=0.05)
    assert accuracy.fit_temperature(logits * 2, labels) == pytest.approx(2, abs=0.1)
    unknown = np.concatenate([labels, np.full(5000, -1)])
    padded = np.concatenate([logits, np.full((5000, 4), 9, np.float32)])
    assert accuracy.fit_temperature(padded, unknown) == pytest.approx(1, abs=0.05)


def drawn(classes: int, faces: int, temperature: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits (faces,classes), and labels as often as the softmax of logits / temperature says."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 2, (faces, classes))
    labels = (truth + rng.gumbel(size=truth.shape)).argmax(axis=1)
    return (truth * temperature).astype(np.float32), labels


@given(
    classes=st.integers(2, 9), exponent=st.floats(-2.5, 2.5), seed=st.integers(0, 2**32 - 1),
    shift=st.floats(-500, 500),
)  # fmt: skip
def test_the_temperature_is_found(classes: int, exponent: float, seed: int, shift: float) -> None:
    temperature = float(np.exp(exponent))
    logits, labels = drawn(classes, 4000, temperature, seed)
    fitted = accuracy.fit_temperature(logits + np.float32(shift), labels, (0.01, 100))
    # One standard deviation is 2 % to 4 % with so many faces.
    assert fitted == pytest.approx(temperature, rel=0.2)
    for other in (0.9 * fitted, 1.1 * fitted):
        worse = accuracy.likelihood(logits, labels, other).mean()
        assert worse < accuracy.likelihood(logits, labels, fitted).mean()


def test_a_temperature_without_a_best_is_a_bound() -> None:
    logits, labels = surely([0.9] * 50, [True] * 50)
    assert accuracy.fit_temperature(logits, labels, (0.01, 100)) == 0.01
    assert accuracy.fit_temperature(logits, 1 - labels, (0.01, 100)) == 100


@pytest.mark.parametrize("rows_of_one", [1, 10])
def test_the_interval_holds_the_temperature_as_often_as_it_says(rows_of_one: int) -> None:
    """Copies of a row count once: an interval that took them for news would be 3x shorter."""
    held = 0
    for seed in range(200):
        logits, labels = (np.repeat(part, rows_of_one, axis=0) for part in drawn(5, 300, 1.7, seed))
        fitted = accuracy.fit_temperature(logits, labels)
        low, high = intervals.of_temperature(logits, labels, fitted, np.arange(len(labels)) // rows_of_one)
        assert low < fitted < high
        held += low <= 1.7 <= high
    assert 180 <= held <= 199, "of 200, 190 expected; three standard deviations are 9"


def test_the_interval_of_a_mean_counts_groups() -> None:
    values = np.random.default_rng(0).normal(1, 1, 400)
    low, high = intervals.of_mean(values, np.arange(400))
    assert high - low == pytest.approx(4 * 1 / 20, rel=0.2)
    wide = intervals.of_mean(np.repeat(values, 9), np.repeat(np.arange(400), 9))
    assert wide[1] - wide[0] == pytest.approx(high - low, rel=0.1)


def test_the_threshold_is_the_smallest_that_keeps_enough_right() -> None:
    logits, labels = surely([0.595] * 10 + [0.8] * 90, [False] * 10 + [True] * 90)
    assert accuracy.fit_threshold(logits, labels, 1.0, NOTHING) == 0.51, "90 of 100 are right at once"
    assert accuracy.fit_threshold(logits, labels, 1.0, NOTHING, wanted=0.95) == 0.6
    assert accuracy.fit_threshold(logits, 1 - labels, 1.0, NOTHING) == 0.9, "never right enough"


def test_the_threshold_leaves_out_what_is_no_face() -> None:
    logits, labels = surely([0.8] * 10, [True] * 10)
    strange, _ = surely([0.695] * 3 + [0.545] * 7, [True] * 10)
    assert accuracy.fit_threshold(logits, labels, 1.0, strange) == 0.7
    assert accuracy.fit_threshold(logits, labels, 1.0, strange, wanted=0.7) == 0.55


def test_the_calibration_error_is_how_far_shares_are_from_truth() -> None:
    logits, labels = surely([0.75] * 100, [True] * 75 + [False] * 25)
    assert accuracy.calibration_error(logits, labels, 1.0, bins=1) == pytest.approx(0, abs=1e-3)
    logits, labels = surely([0.95] * 100, [True] * 75 + [False] * 25)
    assert accuracy.calibration_error(logits, labels, 1.0, bins=1) == pytest.approx(0.2, abs=1e-3)


def test_no_stills_give_no_logits() -> None:
    from edge import bundle as bundles
    from edge.engines.ort import OrtEngine

    bundle = bundles.load(bundles.REFERENCE)
    engine = OrtEngine(bundle.model("fp32"))
    assert accuracy.still_logits(engine, bundle, np.zeros((0, 48, 48), np.uint8), steps=3).shape == (0, 3, 8)
