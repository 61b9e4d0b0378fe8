"""Calibration and threshold, where the right answer is known by hand."""

import numpy as np
import pytest

pytestmark = pytest.mark.export
pytest.importorskip("onnx")

from export.metrics import accuracy  # noqa: E402


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
