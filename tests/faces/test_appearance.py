"""Who stands where somebody stood a moment ago is another person if the face looks otherwise."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.data import Face, Frame
from edge.faces.appearance import is_another, with_appearance
from edge.faces.candidate import ALIKE_S
from edge.faces.tracker import Tracker

BOX = np.array([40, 30, 100, 90], np.float32)


def person(seed: int) -> np.ndarray:
    """A picture (120,160) with a pattern as fine as a face's in BOX."""
    grain = np.random.default_rng(seed).standard_normal((120, 160))
    grain = cv2.GaussianBlur(grain, (0, 0), 3.0)
    return np.clip(120 + 40 * grain / grain.std(), 0, 255).astype(np.uint8)


def seen(picture: np.ndarray, box: np.ndarray = BOX) -> Face:
    (face,) = with_appearance(Frame(picture, 0.0, 0), [Face(box, 0.9)])
    return face


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.floats(0.4, 1.6), st.floats(-40, 40), st.integers(-4, 4), st.booleans())
def test_light_color_and_a_box_that_jitters_make_nobody_another(
    seed: int, gain: float, offset: float, shift: int, in_color: bool
) -> None:
    before = seen(person(seed))
    lit = np.clip(gain * (person(seed) - 120.0) + 120 + offset, 0, 255).astype(np.uint8)
    now = seen(cv2.cvtColor(lit, cv2.COLOR_GRAY2BGR) if in_color else lit, BOX + np.float32(shift))
    assert not is_another(now, [before.appearance])


def test_another_pattern_is_another_person() -> None:
    faces = [seen(person(seed)) for seed in range(201)]
    others = [is_another(now, [before.appearance]) for before, now in pairwise(faces)]
    assert sum(others) >= 180, "a few are alike by chance"
    assert not is_another(faces[0], [faces[0].appearance, faces[1].appearance]), "seen lately is no other"


@pytest.mark.parametrize(
    "box", [(500, 500, 560, 560), (40, 30, 44, 34), (np.nan, 0, 10, 10), (-60, -60, 3, 3)]
)
def test_where_there_is_nothing_to_see_nobody_is_another(box: tuple[float, ...]) -> None:
    face = seen(person(0), np.array(box, np.float32))
    assert face.appearance is None
    assert not is_another(face, [seen(person(1)).appearance])
    assert not is_another(seen(person(0)), [])


def ids(people: list[int | None], period_s: float) -> list[list[int]]:
    """The visible tracks after each look; None: the detector sees nobody."""
    tracker, shown = Tracker(lost_s=0.8), []
    for n, one in enumerate(people):
        faces = [] if one is None else [seen(person(one))]
        shown.append([track.id for track in tracker.update(faces, n * period_s)])
    return shown


def test_another_person_in_the_same_place_is_another_track() -> None:
    assert ids([1, 1, 1, 2, 2, 2], 0.1) == [[], [1], [1], [], [2], [2]]


def test_who_is_covered_for_a_moment_comes_back_as_the_same() -> None:
    assert ids([1, 1, 1, 7, 8, 1, 1], 0.1) == [[], [1], [1], [], [], [1], [1]]


def test_after_a_longer_time_nobody_looks_as_they_did() -> None:
    assert ids([1, 2, 3, 4], 1.5 * ALIKE_S) == [[], [1], [1], [1]]


def test_in_doubt_a_face_has_to_look_more_like_itself_once() -> None:
    one, other = (person(seed).astype(np.float32) for seed in (1, 2))
    alike = np.clip(120 + 0.5 * (one - 120) + 0.87 * (other - 120), 0, 255).astype(np.uint8)
    before, now = seen(person(1)), seen(alike)
    assert not is_another(now, [before.appearance])
    assert is_another(now, [before.appearance], doubted=True)
    for doubted, ids in ((False, [1]), (True, [])):
        tracker = Tracker()
        for at in range(3):
            assert len(tracker.update([before], 0.1 * at)) == (at > 0)
        if doubted:
            tracker.doubt()
        assert [track.id for track in tracker.update([now], 0.3)] == ids
        assert [track.id for track in tracker.update([now], 0.4)] == [1 + doubted], "the doubt is over"
