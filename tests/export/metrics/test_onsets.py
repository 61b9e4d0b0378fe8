"""Delay and steadiness of an expression that comes and goes, where the right answer is known by hand."""

import numpy as np
import pytest

pytestmark = pytest.mark.export
pytest.importorskip("torch")

from export.metrics import onsets  # noqa: E402

TRUTH = np.array([[0] * 4 + [1] * 4 + [0] * 4])


def test_one_sequence_by_hand() -> None:
    late = onsets.of_sequences(np.array([[0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0]]), TRUTH)
    assert {name: value[0] for name, value in late.items()} == {
        "accuracy": 0.75, "extra_changes": 0, "reached": 1, "onset_delay": 1, "return_delay": 2
    }  # fmt: skip
    never = onsets.of_sequences(np.zeros_like(TRUTH), TRUTH)
    assert (never["reached"][0], never["extra_changes"][0]) == (0, 0)
    assert np.isnan([never["onset_delay"][0], never["return_delay"][0]]).all(), "nothing came, nothing went"


def persons(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, logits that blink every few steps, and persons, two sequences each."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.array([[0] * 12 + [1] * 14 + [0] * 14]), 2 * count, axis=0)
    logits = np.eye(3)[truth] * 2 + rng.normal(0, 1.3, (*truth.shape, 3))
    return truth, logits.astype(np.float32), np.repeat(np.arange(count), 2)


def test_smoothing_is_chosen_on_other_persons_than_it_is_judged_on(monkeypatch) -> None:
    truth, logits, person = persons(8, 1)
    seen = []
    choose = onsets._choose

    def watched(kind, own, alone, truth, rows):
        seen.append(set(person[rows]))
        return choose(kind, own, alone, truth, rows)

    monkeypatch.setattr(onsets, "_choose", watched)
    perfect = np.eye(3, dtype=np.float32)[truth]
    found = onsets.compare(perfect, logits, truth, person)
    assert seen[0] | seen[1] == set(range(8))
    assert not seen[0] & seen[1]
    assert found["recurrent"]["figures"]["accuracy"] == {"n": 16, "value": 1.0, "interval_95": [0.6756, 1.0]}
    best = found["most_accurate"]
    assert 0 < best["ahead"]["accuracy"]["value"] < 0.4
    assert best["ahead"]["accuracy"]["interval_95"][0] > 0, "the perfect answer is ahead"
    assert best["ahead"]["onset_delay"]["value"] <= 0


def test_what_is_fitted_is_fitted_to_the_other_half() -> None:
    """Another truth and other answers of the judged half do not change what is chosen for it."""
    truth, logits, person = persons(8, 2)
    own, rows = logits.argmax(axis=-1), person < 4
    chosen = onsets._choose("most_accurate", own, logits, truth, rows)
    spoiled, other = logits.copy(), truth.copy()
    spoiled[~rows], other[~rows] = -spoiled[~rows], 2
    assert onsets._choose("most_accurate", own, spoiled, other, rows) == chosen
    before = onsets._smoothed(logits, truth, rows)[chosen][rows]
    np.testing.assert_array_equal(onsets._smoothed(spoiled, other, rows)[chosen][rows], before)


def test_where_no_smoothing_is_as_steady_there_is_none() -> None:
    truth, logits, person = persons(6, 3)
    frozen = np.zeros((*truth.shape, 3), np.float32)
    frozen[..., 0] = 1
    alternating = np.where(np.arange(truth.shape[1]) % 2, 9.0, -9.0).astype(np.float32)
    logits[..., 2] = 0
    logits[..., 1], logits[..., 0] = alternating, -alternating
    found = onsets.compare(frozen, logits, truth, person)
    assert found["as_steady"] is None
    assert found["most_accurate"]["figures"]["extra_changes"]["value"] > 0
    few = onsets.compare(frozen[:4], logits[:4], truth[:4], person[:4])
    assert few["recurrent"]["figures"]["accuracy"]["interval_95"] is None, "two persons have no interval"
    assert few["recurrent"]["figures"]["onset_delay"] == {"n": 0, "value": None, "interval_95": None}


def test_figures_by_group_count_only_its_persons() -> None:
    truth, _, person = persons(6, 4)
    told = np.eye(3, dtype=np.float32)[truth]
    told[person >= 3] = [1, 0, 0]
    groups = [{"sex": "f"}] * 3 + [{"sex": "m"}] * 2 + [{}]
    found = onsets.by_group(told, truth, person, groups)["sex"]
    assert (found["f"]["reached"]["value"], found["f"]["reached"]["n"]) == (1.0, 6)
    assert (found["m"]["reached"]["value"], found["m"]["reached"]["n"]) == (0.0, 4)
