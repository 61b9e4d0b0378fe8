"""Order and labels of pairs, where the right answer is known by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.export
pytest.importorskip("torch")

from export.metrics.paired import Paired, auc, log_odds  # noqa: E402

NUMBERS = st.lists(st.integers(-5, 5), min_size=1, max_size=12)


@given(NUMBERS, NUMBERS)
def test_auc_is_the_share_of_all_comparisons(before, after) -> None:
    by_hand = np.mean([(a > b) + 0.5 * (a == b) for a in after for b in before])
    assert auc(np.array(before, float), np.array(after, float)) == pytest.approx(by_hand)


def test_log_odds_see_what_is_lost_beside_one() -> None:
    p = np.array([[1e-9, 1.0, 0.0], [1e-12, 1.0, 0.0]])
    assert log_odds(p, 1)[1] > log_odds(p, 1)[0] + 6


def test_labels_and_order_by_hand() -> None:
    """Six persons: the last smile is called neutral, yet it rises; the first neutral face is called so."""
    neutral = np.array([[0.4, 0.6]] + [[0.9, 0.1]] * 5)
    smiling = np.array([[0.1, 0.9]] * 5 + [[0.6, 0.4]])
    groups = [{"sex": "f"}] * 3 + [{"sex": "m"}] * 2 + [{}]
    found = Paired(neutral, smiling, ("neutral", "happiness"), 1).figures(groups)
    assert (found["expressive_called"]["value"], found["neutral_called"]["value"]) == (0.8333, 0.1667)
    assert found["in_order"] == {"n": 6, "value": 1.0, "interval_95": [0.6097, 1.0]}, "six of six is no proof"
    assert found["auc"]["value"] == pytest.approx(35 / 36, abs=1e-4)
    assert found["answers_to_expressive"] == {"happiness": 5, "neutral": 1}
    women = found["groups"]["sex"]["values"]["f"]
    assert women["neutral_called"] == {"n": 3, "value": 0.3333, "interval_95": None}
    assert found["groups"]["sex"]["worst_gap"] == {}, "groups of three and two have no gap"
