"""Small faces in wide frames: parts in their turn, a look at each face, and an end for what is none."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from no_network import NoNetwork

from edge.data import ANY_FACE, Face, Frame, Search
from edge.faces.fine_looks import parts
from edge.faces.square import square
from edge.faces.tracker import Tracker
from edge.faces.wide import WideLooks
from edge.health.load_governor import LEVELS
from edge.pipeline import Pipeline

IMAGE = np.broadcast_to(np.uint8(0), (1080, 1920, 3))  # holds no memory
SMALL, SECOND, LARGE = square(300, 900, 50), square(1500, 200, 60), square(900, 500, 400)


class Detector:
    """Sees ``faces(index)`` as YuNet does: the whole frame shows large ones only."""

    def __init__(self, faces) -> None:
        self._faces = faces
        self.asked: list[Search] = []
        self.at: list[int] = []

    def detect(self, frame: Frame, search: Search = ANY_FACE) -> list[Face]:
        self.asked.append(search)
        self.at.append(frame.index)
        boxes, fine = self._faces(frame.index), search.fine
        if fine is None:
            return [Face(box, 0.9) for box in boxes if side(box) >= 100]
        return [Face(box, 0.9) for box in boxes if self._shows(fine, box)]

    def _shows(self, fine, box) -> bool:
        x, y = (box[:2] + box[2:]) / 2
        part = fine.part is not None and fine.part[0] <= x < fine.part[2] and fine.part[1] <= y < fine.part[3]
        around = any(abs(box - other).max() < side(other) for other in (*fine.near, *fine.wider))
        return part or around or (fine.whole and side(box) >= 100)


class Recognizer(NoNetwork):
    def __init__(self) -> None:
        self.boxes: list[dict[int, float]] = []

    def update(self, frame, tracks):
        self.boxes.append({track.id: float(track.face.box_xyxy[0]) for track in tracks})
        return []


def side(box) -> float:
    return float(box[2] - box[0])


def run(detector, frames: int, fps: float = 25, every: int = 3, level=LEVELS[0]) -> list[dict[int, float]]:
    wide = WideLooks(480, 48)
    pipeline = Pipeline(detector, Tracker(), Recognizer(), detect_every=every, wide=wide, level=level)
    for index in range(frames):
        pipeline.step(Frame(IMAGE, index / fps, index))
    return pipeline.recognizer.boxes


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(24, 400), st.integers(32, 2000), st.data())
def test_each_small_face_is_whole_in_one_part(width, height, smallest, input_width, data) -> None:
    made = parts((height, width, 3), smallest, input_width)
    if not made:
        assert width * 24 / smallest <= 2 * input_width
        return
    for x0, y0, x1, y1 in made:
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
    across, down = min(1.5 * smallest, width), min(1.5 * smallest, height)
    x, y = data.draw(st.floats(0, width - across)), data.draw(st.floats(0, height - down))
    # Borders are whole pixels, and the numbers are float32.
    inside = [a - 1 <= x and b - 1 <= y and x + across <= c + 1 and y + down <= d + 1 for a, b, c, d in made]
    assert any(inside)


def test_a_frame_whose_faces_the_whole_shows_has_no_parts() -> None:
    assert parts((480, 640), 48, 480) == []
    assert parts((1080, 1920), 96, 480) == []
    assert len(parts((1080, 1920), 48, 480)) == 4
    assert len(parts((2160, 3840), 48, 480)) == 16


def test_a_part_costs_about_as_much_as_the_whole() -> None:
    for x0, y0, x1, y1 in parts((1080, 1920), 48, 480):
        assert (x1 - x0) * (y1 - y0) / 4 <= 1.15 * 480 * 270


def test_a_small_face_is_found_in_one_pass_and_stays() -> None:
    shown = run(Detector(lambda _: [SMALL, SECOND]), frames=300)
    first = next(index for index, boxes in enumerate(shown) if len(boxes) == 2)
    assert first <= 8 * 3 + 1, "four parts, one in every second look, and one more look"
    assert {tuple(sorted(boxes)) for boxes in shown[first:]} == {(1, 2)}


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("fps", [0.2, 1, 2, 5, 8, 12.5, 30, 60])
def test_a_face_keeps_its_track_at_any_rate(fps: float, every: int) -> None:
    for faces in (
        [SMALL],
        [LARGE],
        [SMALL, SECOND, LARGE],
        [square(100 + 150 * i, 300, 50) for i in range(12)],
    ):
        detector = Detector(lambda _, faces=faces: faces)
        shown = run(detector, frames=150, fps=fps, every=every)
        assert [len(boxes) for boxes in shown[-90:]] == [len(faces)] * 90
        assert max(id for boxes in shown for id in boxes) == len(faces)


def test_a_face_that_moves_is_followed() -> None:
    def moving(index: int):
        return [SMALL + np.float32([4, 0, 4, 0]) * index, SECOND - np.float32([4, 0, 4, 0]) * index]

    shown = run(Detector(moving), frames=200)
    assert set(shown[-1]) == {1, 2}
    assert abs(min(shown[-1].values()) - min(float(box[0]) for box in moving(199))) < 50


def test_a_crowd_that_moves_is_followed() -> None:
    def moving(index: int):
        step = np.float32([5, 0, 5, 0]) * index
        return [square(100, 100 + 90 * i, 50) + step * (1 if i % 2 else 0.8) for i in range(10)]

    shown = run(Detector(moving), frames=250)
    assert set(shown[-1]) == set(range(1, 11))


def test_faces_that_turn_about_are_followed() -> None:
    def moving(index: int):
        shift = np.float32([1, 0, 1, 0]) * 25 * np.sin(index / 8)
        return [square(200, 100 + 120 * i, 50) + shift for i in range(6)]

    shown = run(Detector(moving), frames=200)
    assert set(shown[-1]) == set(range(1, 7))


def test_nobody_in_a_large_crowd_is_forgotten() -> None:
    shown = run(
        Detector(lambda _: [square(100 + 170 * (i % 10), 100 + 200 * (i // 10), 50) for i in range(40)]), 200
    )
    assert set(shown[-1]) == set(range(1, 41))


def test_a_lost_small_face_is_looked_for_in_every_frame_and_parts_keep_their_turn() -> None:
    detector = Detector(lambda index: [SMALL] if not 70 <= index < 86 else [])
    run(detector, frames=100)
    looks = dict(zip(detector.at, (search.fine for search in detector.asked), strict=True))
    lost = min(index for index, fine in looks.items() if index >= 70 and (fine.near or fine.wider))
    searched = [index for index in range(lost + 1, 86) if looks[index].wider and not looks[index].near]
    parts_of = [index for index in range(lost + 1, 86) if looks[index].part is not None]
    assert sorted({*searched, *parts_of}) == list(range(lost + 1, 86))
    assert len(parts_of) >= 2


def test_looks_around_faces_are_bounded() -> None:
    detector = Detector(lambda _: [square(100 + 150 * i, 300, 50) for i in range(12)])
    run(detector, frames=300)
    turns = [len(search.fine.near) + len(search.fine.wider) for search in detector.asked[30:] if search.fine]
    assert max(turns) <= 12
    assert sum(turns) / len(turns) <= 5, "each is seen in every third look"


def test_parts_are_looked_at_in_turn_and_again_after_three_seconds() -> None:
    detector = Detector(lambda _: [LARGE])
    run(detector, frames=25 * 12)
    asked = [
        (at, s.fine.part[:2].tolist()) for at, s in zip(detector.at, detector.asked, strict=True) if s.fine
    ]
    assert len(asked) == 16, "four in 3 s"
    assert len({tuple(corner) for _, corner in asked[:4]}) == 4
    starts = [at / 25 for at, _ in asked[::4]]
    assert all(3 <= after - before < 3.3 for before, after in pairwise(starts))


def test_while_nobody_is_there_every_second_look_is_at_the_whole_frame() -> None:
    detector = Detector(lambda _: [])
    run(detector, frames=90)
    assert [search.fine is None for search in detector.asked] == [True, False] * 15


def test_under_load_no_part_is_looked_at_and_known_faces_stay() -> None:
    for level in LEVELS[1:]:
        detector = Detector(lambda _: [SMALL])
        assert not any(run(detector, 100, level=level))
        assert not any(search.fine for search in detector.asked)
    pipeline = Pipeline(Detector(lambda _: [SMALL]), Tracker(), Recognizer(), wide=WideLooks(480, 48))
    for index in range(200):
        if index == 100:
            pipeline.spare(LEVELS[1])
        pipeline.step(Frame(IMAGE, index / 25, index))
    assert set(pipeline.recognizer.boxes[-1]) == {1}


@pytest.mark.parametrize("every", [1, 3, 5])
def test_what_only_looks_around_it_find_is_not_shown_for_long(every: int) -> None:
    class Stubborn(Detector):
        def detect(self, frame: Frame, search: Search) -> list[Face]:
            found = super().detect(frame, search)
            held = search.fine is not None and any(box is not None for box in search.fine.near)
            return [*found, *([Face(SMALL, 0.9)] if held and not found else [])]

    shown = run(Stubborn(lambda index: [SMALL] if index < 50 else []), frames=200, every=every)
    assert shown[49]
    last = max(index for index, boxes in enumerate(shown) if boxes)
    assert last <= 50 + 2 * 7 * every + 20, "fourteen looks, of which half are at parts, and lost_s"


def test_a_face_that_went_ends_and_its_return_is_another() -> None:
    shown = run(Detector(lambda index: [SMALL] if not 60 <= index < 120 else []), frames=300)
    assert not shown[75]
    assert set(shown[59]) == {1}
    assert set(shown[-1]) == {2}


def test_a_large_face_that_is_lost_is_looked_for_everywhere_and_small_ones_stay() -> None:
    shown = run(Detector(lambda index: [SMALL, *([LARGE] if not 60 <= index < 75 else [])]), frames=150)
    assert len(shown[59]) == 2
    assert len(shown[70]) == 1
    assert set(shown[-1]) == set(shown[59])


def test_a_photograph_is_looked_at_in_all_its_parts() -> None:
    class Stills(Recognizer):
        def still(self, frame, tracks):
            return [side(track.face.box_xyxy) for track in tracks]

    detector = Detector(lambda _: [SMALL, LARGE])
    pipeline = Pipeline(detector, Tracker(), Stills(), wide=WideLooks(480, 48))
    assert sorted(pipeline.step(Frame(IMAGE, 0.0, 0, still=True))) == [50, 400]
    assert len(detector.asked) == 5
