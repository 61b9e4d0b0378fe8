"""Probabilities and abstention."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.recognition.decision import Decision

LABELS = ("a", "b", "c")


@given(
    arrays(np.float32, (4, 3), elements=st.floats(-1e4, 1e4, width=32)),
    st.floats(0.05, 20),
)
def test_rows_sum_to_one_and_keep_their_order(logits: np.ndarray, temperature: float) -> None:
    p = Decision(LABELS, temperature, 0.0, 0.0).probabilities(logits)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    best = np.take_along_axis(p, logits.argmax(axis=1)[:, None], 1)[:, 0]
    np.testing.assert_array_equal(best, p.max(axis=1))


def test_small_faces_weak_maxima_and_nan_are_uncertain() -> None:
    decision = Decision(LABELS, 1.0, abstain_below=0.5, min_face_px=40)
    sure, torn = np.array([0.1, 0.8, 0.1], np.float32), np.array([0.3, 0.4, 0.3], np.float32)
    assert decision.shown(None, sure, 60, 0.0).answer.label == "b"
    assert decision.shown(None, sure, 39, 0.0).answer.label == "uncertain"
    assert decision.shown(None, torn, 60, 0.0).answer.label == "uncertain"
    assert decision.shown(None, np.full(3, np.nan, np.float32), 60, 0.0).answer.label == "uncertain"
