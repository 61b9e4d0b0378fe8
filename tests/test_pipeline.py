"""When the detector looks, and for what: in its turn, and at once where a face has come or got lost."""

from __future__ import annotations

import numpy as np
import pytest
from no_network import NoNetwork

from edge.data import Face, Frame, Search
from edge.faces.tracker import Tracker
from edge.health.load_governor import Level
from edge.pipeline import Pipeline

FACE = Face(np.array([10, 10, 90, 90], np.float32), 0.9)
SMALL = Face(np.array([100, 10, 116, 26], np.float32), 0.9)


class Detector:
    def __init__(self, shows) -> None:
        self.looked: list[int] = []
        self.expected: list[float | None] = []
        self.near: list[int] = []  # the frames in which only faces that are known were looked for
        self._shows = shows

    def detect(self, frame: Frame, search: Search) -> list[Face]:
        self.looked.append(frame.index)
        self.expected.append(search.smallest)
        self.near += [frame.index] if search.near else []
        return [FACE] if self._shows(frame.index) else []


class Recognizer(NoNetwork):
    def __init__(self) -> None:
        self.ids: list[list[int]] = []

    def update(self, frame, tracks):
        self.ids.append([track.id for track in tracks])
        return []


def run(detector, frames: int = 20, every: int = 5, fps: float = 30, sparing: int = 1, lost_s: float = 0.8):
    pipeline = Pipeline(detector, Tracker(lost_s=lost_s), Recognizer(), [], detect_every=every)
    pipeline.spare(Level(step_share=1.0, detect_every=sparing, width_share=1.0))
    for index in range(frames):
        pipeline.step(Frame(np.zeros((96, 128), np.uint8), index / fps, index))
    return pipeline


def detections(shows, **how) -> list[int]:
    detector = Detector(shows)
    run(detector, **how)
    return detector.looked


def test_it_looks_in_its_turn_while_nobody_is_there() -> None:
    assert detections(lambda _: False) == [0, 5, 10, 15]


def test_a_new_face_is_confirmed_at_once() -> None:
    assert detections(lambda index: index >= 3) == [0, 5, 6, 11, 16]


def test_a_lost_face_is_looked_for_until_it_is_back_or_given_up() -> None:
    assert detections(lambda index: not 4 <= index < 7, lost_s=0.4) == [0, 1, 6, 7, 12, 17]
    # 0.4 s are 12 frames; the last detection was in frame 1, so from frame 14 on nobody is waited for.
    assert detections(lambda index: index < 4, lost_s=0.4) == [0, 1, *range(6, 15), 19]


def test_a_single_false_alarm_calls_one_more_look() -> None:
    assert detections(lambda index: index == 5) == [0, 5, 6, 11, 16]


def test_a_still_goes_another_way_and_leaves_the_tracks_of_moving_pictures() -> None:
    class Stills(Recognizer):
        def still(self, frame, tracks):
            return [(frame.index, track.id) for track in tracks]

    detector, written = Detector(lambda _: True), []
    detector.detect = lambda frame, search=None: [FACE, FACE, SMALL, Face(SMALL.box_xyxy * 4, 0.1)]
    pipeline = Pipeline(detector, Tracker(starts_at=0.5), Stills())
    pipeline.sinks = [type("Sink", (), {"write": lambda _, *what: written.append(what)})()]
    still = Frame(np.zeros((96, 128), np.uint8), 0.0, 7, still=True)
    assert pipeline.step(still) == [(7, 1), (7, 2)], "one for each face that may start a track"
    assert written == [(still, [(7, 1), (7, 2)])]
    assert (pipeline.steps, pipeline.detections) == (1, 1)


def test_where_the_machine_is_to_be_spared_it_takes_longer_turns() -> None:
    assert detections(lambda index: index % 3 == 0, every=2, sparing=4) == [0, 8, 16]


def test_every_frame_is_every_frame() -> None:
    assert detections(lambda index: index % 2 == 0, frames=6, every=1) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("sparing", [1, 5])
@pytest.mark.parametrize("fps", [0.01, 0.2, 1, 2, 3, 5, 6, 8, 12.5, 30, 120])
def test_a_still_face_keeps_its_track_at_any_rate(fps: float, sparing: int) -> None:
    pipeline = run(Detector(lambda _: True), frames=100, every=3, fps=fps, sparing=sparing)
    ids = [found for found in pipeline.recognizer.ids if found]
    assert {tuple(found) for found in ids} == {(1,)}
    assert len(ids) >= 80


@pytest.mark.parametrize("fps", [0.2, 1, 30])
def test_a_face_that_is_missed_once_keeps_its_track_at_any_rate(fps: float) -> None:
    pipeline = run(Detector(lambda index: index % 7 != 5), frames=60, every=1, fps=fps)
    assert {tuple(found) for found in pipeline.recognizer.ids if found} == {(1,)}


def test_fewer_pixels_do_while_all_faces_are_large_and_in_0_7_s_all_are_looked_at() -> None:
    detector = Detector(lambda _: True)
    run(detector, frames=75, every=5, fps=32)
    seen = zip(detector.looked, detector.expected, strict=True)
    assert [index for index, smallest in seen if smallest is None] == [0, 1, 26, 51]
    assert set(detector.expected) == {None, 80 / 128}


def test_a_small_face_counts() -> None:
    detector = Detector(lambda _: True)
    detector.detect = lambda frame, search: (detector.expected.append(search.smallest), [FACE, SMALL])[1]
    run(detector, frames=20, every=5)
    assert set(detector.expected) == {None, 16 / 128}


def test_most_looks_are_around_the_face_and_each_seventh_at_the_whole_frame() -> None:
    detector = Detector(lambda _: True)
    run(detector, frames=100, every=1, fps=100)
    whole = sorted(set(detector.looked) - set(detector.near))
    assert whole == [0, 1, *range(8, 100, 7)]
    detector = Detector(lambda _: True)
    run(detector, frames=120, every=10, fps=32)
    assert sorted(set(detector.looked) - set(detector.near)) == [0, 1, 31, 61, 91], "or after 0.7 s"


def test_a_look_around_a_face_is_at_all_tracks_and_at_nothing_else() -> None:
    detector, near = Detector(lambda _: True), []
    ghost = Face(SMALL.box_xyxy + 20, 0.9)

    def detect(frame, search):
        near.append([box.tolist() for box in search.near])
        return [FACE, SMALL, *([ghost] if frame.index == 3 else [])]

    detector.detect = detect
    run(detector, frames=6, every=1)
    both = [FACE.box_xyxy.tolist(), SMALL.box_xyxy.tolist()]
    assert near == [[], [], both, both, [], both], (
        "what was seen once has no track, and calls for a whole look"
    )


@pytest.mark.parametrize("every", [1, 3, 5])
def test_a_lost_face_is_looked_for_everywhere(every: int) -> None:
    detector = Detector(lambda index: not 20 <= index < 35)
    run(detector, frames=60, every=every)
    lost = next(index for index in detector.looked if index >= 20)
    found = next(index for index in detector.looked if index >= 35)
    assert not [index for index in detector.near if lost < index <= found]
    assert [index for index in detector.near if index > found]


@pytest.mark.parametrize("every", [1, 3, 5])
def test_what_only_looks_around_it_find_is_not_shown_for_long(every: int) -> None:
    """Such as a sleeve that covered the face: a crop around it could show it as a face for ever."""

    class Stubborn(Detector):
        def detect(self, frame: Frame, search: Search) -> list[Face]:
            faces = super().detect(frame, search)
            return [FACE] if search.near else faces

    pipeline = run(Stubborn(lambda index: index < 20), frames=100, every=every)
    shown = [index for index, ids in enumerate(pipeline.recognizer.ids) if ids]
    assert 20 <= shown[-1] <= 20 + 30, "a second"
    assert not pipeline.tracker._candidates


@pytest.mark.parametrize("every", [1, 3, 5])
@pytest.mark.parametrize("arrives", range(20, 34, 3))
def test_a_second_face_is_found_within_a_second(every: int, arrives: int) -> None:
    class Second(Detector):
        def detect(self, frame: Frame, search: Search) -> list[Face]:
            second = [] if search.near or frame.index < arrives else [SMALL]
            return [*super().detect(frame, search), *second]

    pipeline = run(Second(lambda _: True), frames=100, every=every)
    first = next(index for index, ids in enumerate(pipeline.recognizer.ids) if len(ids) == 2)
    assert first <= arrives + 30 + every, "in frames, of which 30 are a second"


def test_in_doubt_the_detector_looks_at_once_at_the_whole_frame() -> None:
    rng = np.random.default_rng(0)
    room = np.kron(rng.integers(0, 255, (24, 32)), np.ones((4, 4))).astype(np.uint8)
    changed = room.copy()
    changed[:, :70] = room[::-1, -70:]
    looks: list[tuple[int, Search]] = []

    class Noting(Detector):
        def detect(self, frame: Frame, search: Search) -> list[Face]:
            looks.append((frame.index, search))
            return super().detect(frame, search)

    pipeline = Pipeline(Noting(lambda _: True), Tracker(), Recognizer(), [], detect_every=10)
    for index in range(20):
        pipeline.step(Frame(changed if index >= 14 else room, index / 30, index))
    at = [index for index, _ in looks]
    assert 14 in at
    assert 13 not in at
    assert dict(looks)[14] == Search(), "a face of any size, anywhere"


def test_after_a_cut_nobody_keeps_an_id_and_in_a_flash_nobody_is_answered() -> None:
    rng = np.random.default_rng(0)
    room = np.kron(rng.integers(0, 255, (24, 32)), np.ones((4, 4))).astype(np.uint8)
    rooms = [room, room[::-1, ::-1]]  # in the same light
    bright = np.full_like(rooms[0], 255)
    recognizer = Recognizer()
    pipeline = Pipeline(Detector(lambda _: True), Tracker(), recognizer, [], detect_every=5)
    pictures = [*[rooms[0]] * 12, bright, *[rooms[0]] * 7, *[rooms[1]] * 10]
    for index, picture in enumerate(pictures):
        pipeline.step(Frame(picture, index / 30, index))
    assert len(recognizer.ids) == len(pictures) - 1, "not in the flash"
    assert recognizer.ids[1:19] == [[1]] * 18
    assert recognizer.ids[19:] == [[]] + [[2]] * 9, "a look at the cut, another confirms"
