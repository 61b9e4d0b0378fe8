"""What is shown holds against single steps, gives way to another answer that stays, and can be off."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.answers import AnyOf, Meaning, OneOf, Values
from edge.data import UNCERTAIN, Held
from edge.recognition.decision import Decision
from edge.recognition.held import AT_ONCE, HoldRule

LABELS = ("a", "b", "c")
RULE = HoldRule(margin=0.1, returns=3)


def decision(meaning: Meaning, rule: HoldRule = RULE) -> Decision:
    return Decision(LABELS, 1.0, 0.0, 40.0, meaning, rule)


def shown(rows: list[list[float]], meaning: Meaning, rule: HoldRule = RULE, side: float = 60) -> list[Held]:
    """What is shown after each step; copies, as a track has only one."""
    decide, held, seen = decision(meaning, rule), None, []
    for at, row in enumerate(rows):
        held = decide.shown(held, np.asarray(row, np.float32), side, at / 10)
        seen.append(Held(held.answer, held.since_s, held.uncertain_since_s))
    return seen


def of(best: int, p: float) -> list[float]:
    row = [(1 - p) / 2] * 3
    row[best] = p
    return row


def labels(rows: list[list[float]], meaning: Meaning | None = None, rule: HoldRule = RULE) -> str:
    one = meaning or OneOf(LABELS, abstain_below=0.6)
    return "".join(
        "-" if h.answer.label == UNCERTAIN else str(h.answer.label) for h in shown(rows, one, rule)
    )


def test_a_label_is_taken_at_one_threshold_and_kept_down_to_a_lower_one() -> None:
    assert labels([of(0, p) for p in (0.55, 0.55, 0.62, 0.62, 0.55, 0.51, 0.55, 0.51, 0.55)]) == "--aaaaaaa"
    assert labels([of(0, p) for p in (0.62, 0.55, 0.49, 0.55)]) == "aa--"


def test_the_label_before_comes_back_only_if_it_stays() -> None:
    assert labels([of(0, p) for p in (0.9, 0.3, 0.9, 0.9, 0.3, 0.9, 0.9, 0.9, 0.9)]) == "a------aa"


def test_a_new_label_is_shown_at_once_and_does_not_flap() -> None:
    assert labels([of(k, 0.9) for k in (0, 0, 1, 0, 1, 0, 0, 0, 0)]) == "aabbbbbaa"
    assert labels([of(0, 0.9), of(0, 0.4), of(1, 0.9)]) == "a-b"


def test_without_a_threshold_a_label_is_kept_against_one_that_is_hardly_larger() -> None:
    rows = [[0.4, 0.3, 0.3], [0.34, 0.36, 0.3], [0.2, 0.5, 0.3]]
    assert labels(rows, OneOf(LABELS)) == "aab"


def test_since_when() -> None:
    steps = shown([of(0, 0.9), of(0, 0.55), of(0, 0.55), of(1, 0.9), of(1, 0.9)], OneOf(LABELS, 1.0, 0.6))
    assert [held.since_s for held in steps] == [0.0, 0.0, 0.0, 0.3, 0.3]
    assert [held.uncertain_since_s for held in steps] == [None, 0.1, 0.1, None, None]


def test_probabilities_stay_those_of_the_step() -> None:
    steps = shown([of(0, 0.9), of(0, 0.52)], OneOf(LABELS, 1.0, 0.6))
    np.testing.assert_allclose(steps[1].answer.numbers, of(0, 0.52), atol=1e-6)
    assert steps[1].answer.label == "a"
    (said,) = steps[1].answer.meaning.headline(steps[1].answer)
    assert said == ("a", "52%"), "the number beside a label is its own"


def test_a_face_that_shrinks_is_uncertain_at_once_but_not_by_the_noise_of_its_box() -> None:
    decide, held, seen = decision(OneOf(LABELS, 1.0, 0.6)), None, ""
    for side in (39, 41, 39, 37, 41, 35, 39, 41):
        held = decide.shown(held, np.asarray(of(0, 0.9), np.float32), side, 0.0)
        seen += "-" if held.answer.label == UNCERTAIN else str(held.answer.label)
    assert seen == "-aaaa--a"


def test_a_set_of_labels_is_held_as_a_whole() -> None:
    meaning = AnyOf(LABELS, thresholds=(0.5, 0.5, 0.5))
    rows = [[0.9, 0.1, 0.1], [0.45, 0.1, 0.1], [0.45, 0.55, 0.1], [0.9, 0.9, 0.1], [0.9, 0.45, 0.1]]
    assert [h.answer.present for h in shown(rows, meaning)] == [("a",)] * 3 + [("a", "b")] * 2


def test_values_have_nothing_to_hold() -> None:
    steps = shown([[0.1, 2, 3], [3, 2, 1]], Values(LABELS))
    assert [h.answer.label for h in steps] == [None, None]
    np.testing.assert_allclose(steps[1].answer.numbers, [3, 2, 1])


MEANINGS = st.sampled_from([OneOf(LABELS, 1.0, 0.6), OneOf(LABELS), AnyOf(LABELS), Values(LABELS)])
ROWS = st.lists(st.lists(st.floats(0.0625, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=40)


@given(MEANINGS, ROWS)
def test_switched_off_each_step_shows_what_it_says(meaning: Meaning, rows: list[list[float]]) -> None:
    if isinstance(meaning, OneOf):
        rows = [[value / sum(row) for value in row] for row in rows]
    for row, held in zip(rows, shown(rows, meaning, AT_ONCE), strict=True):
        assert held.answer.same(meaning.answer(np.asarray(row, np.float32), False))


@given(MEANINGS, ROWS)
def test_what_is_shown_was_said_and_changes_no_oftener(meaning: Meaning, rows: list[list[float]]) -> None:
    if isinstance(meaning, OneOf):
        rows = [[value / sum(row) for value in row] for row in rows]
    said = [meaning.answer(np.asarray(row, np.float32), False) for row in rows]
    held = shown(rows, meaning)
    changes = sum(not a.answer.same(b.answer) for a, b in pairwise(held))
    assert changes <= sum(not a.same(b) for a, b in pairwise(said))
    for at, one in enumerate(held):
        assert any(one.answer.same(raw) for raw in said[: at + 1])
        assert one.answer.same(said[round(one.since_s * 10)]), "it is dated by the step that said so"
