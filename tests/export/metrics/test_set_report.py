"""Figures of a labeled set that count what they should."""

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.export
pytest.importorskip("torch")

from export.data.datasets import Clip  # noqa: E402
from export.metrics.set_report import report, share  # noqa: E402

LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")


def test_figures_of_a_set_whose_answers_are_known() -> None:
    """40 men, all right; 40 women, half of them right, ten without a face; one clip of a rare class wrong."""
    clips = [Clip(Path("m"), "anger", f"m{i // 4}", {"sex": "male"}) for i in range(40)]
    clips += [Clip(Path("w"), "anger", f"w{i // 4}", {"sex": "female"}) for i in range(40)]
    clips += [Clip(Path("s"), "sadness", "x", {"sex": "other"})]
    p = np.full((81, 8), 0.05, np.float32)
    p[:60, LABELS.index("anger")] = 0.6
    p[60:70, LABELS.index("contempt")], p[60:70, LABELS.index("anger")] = 0.5, 0.3
    p[70:80] = np.nan
    p[80, 0] = 0.9
    found = report(p, clips, LABELS)
    assert found["war"]["value"] == pytest.approx(60 / 81, abs=1e-4)
    assert found["uar"]["value"] == pytest.approx(60 / 80 / 2, abs=1e-4)
    assert found["war_among_its_labels"]["value"] == pytest.approx(70 / 81, abs=0.02)
    assert found["classes"]["anger"]["n"] == 80
    sexes = found["groups"]["sex"]
    low, high = sexes["values"]["male"]["interval_95"]
    assert (low, high) == (pytest.approx(0.722, abs=1e-3), 1.0), "ten men who are right prove no certainty"
    assert sexes["values"]["other"]["interval_95"] is None
    assert sexes["values"]["female"]["value"] == 0.5
    assert sexes["worst_gap"]["value"] == 0.5, "a group of one clip is no group"
    low, high = sexes["worst_gap"]["interval_95"]
    assert low < 0.5 < high
    low, high = found["war"]["interval_95"]
    assert low < 60 / 81 < high
    alone = [Clip(clip.path, clip.label) for clip in clips]
    narrow = report(p, alone, LABELS)["war"]["interval_95"]
    assert high - low > 1.3 * (narrow[1] - narrow[0]), "clips of one person were taken as independent"


def test_two_equal_groups_may_have_no_gap() -> None:
    """Ten men and ten women of four clips, right or wrong by the same chance."""
    right = np.random.default_rng(5).random(80) < 0.7
    clips = [Clip(Path("c"), "anger", f"p{i // 4}", {"sex": "mf"[i % 8 // 4]}) for i in range(80)]
    p = np.full((80, 8), 0.05, np.float32)
    p[np.arange(80), np.where(right, LABELS.index("anger"), 0)] = 0.6
    gap = report(p, clips, LABELS)["groups"]["sex"]["worst_gap"]
    shares = [right[np.arange(80) % 8 // 4 == sex].mean() for sex in (0, 1)]
    assert gap["value"] == pytest.approx(abs(shares[0] - shares[1]), abs=1e-4)
    low, high = gap["interval_95"]
    assert low < 0 < high


def test_a_set_that_is_all_right_is_not_taken_for_certain() -> None:
    """No draw of it differs: "100.0% (100.0% to 100.0%)" would claim what twelve people cannot show."""
    clips = [Clip(Path("c"), ("anger", "fear")[i % 2], f"p{i}", {"sex": "mf"[i // 2 % 2]}) for i in range(80)]
    p = np.full((80, 8), 0.05, np.float32)
    for at, clip in enumerate(clips):
        p[at, LABELS.index(clip.label)] = 0.6
    found = report(p, clips, LABELS)
    for figure in (found["war"], found["uar"], found["groups"]["sex"]["values"]["m"]):
        low, high = figure["interval_95"]
        assert (figure["value"], high) == (1.0, 1.0)
        assert 0.8 < low < 0.97
    assert found["uar"]["interval_95"][0] < found["war"]["interval_95"][0], (
        "each class has half of the people"
    )
    gap = found["groups"]["sex"]["worst_gap"]
    low, high = gap["interval_95"]
    assert gap["value"] == 0
    assert low < -0.05
    assert high > 0.05


def test_an_interval_narrower_than_its_digits_says_so() -> None:
    assert share(1.0, [0.998, 1.0]) == "100.0% (99.8% to 100.0%)"
    assert share(1.0, [0.9999, 1.0]) == "100.0% (within 0.1 points)"
    assert share(0.5, None) == "50.0%"
