"""When the detector looks: in its turn, and at once where a face has come or got lost."""

from __future__ import annotations

import numpy as np

from edge.data import Face, Frame
from edge.faces.tracker import Tracker
from edge.health.rate import Level
from edge.pipeline import Pipeline

FACE = Face(np.array([10, 10, 90, 90], np.float32), 0.9)


class Detector:
    width_share, starts_at, expects = 1.0, 0.0, None

    def __init__(self, shows) -> None:
        self.looked: list[int] = []
        self._shows = shows

    def detect(self, frame: Frame) -> list[Face]:
        self.looked.append(frame.index)
        return [FACE] if self._shows(frame.index) else []


class Recognizer:
    step_share = 1.0

    def update(self, frame, tracks):
        return [(frame.index, track.id) for track in tracks]


def looks(shows, frames: int = 20, every: int = 5, level: Level | None = None) -> list[int]:
    detector = Detector(shows)
    pipeline = Pipeline(detector, Tracker(lost_s=0.2), Recognizer(), [], detect_every=every)
    if level:
        pipeline.spare(level)
    for index in range(frames):
        pipeline.step(Frame(np.zeros((96, 128), np.uint8), index / 30, index))
    return detector.looked


def test_it_looks_in_its_turn_while_nobody_is_there() -> None:
    assert looks(lambda _: False) == [0, 5, 10, 15]


def test_a_new_face_is_confirmed_at_once() -> None:
    assert looks(lambda index: index >= 3) == [0, 5, 6, 11, 16]


def test_a_lost_face_is_looked_for_until_it_is_back_or_given_up() -> None:
    assert looks(lambda index: not 4 <= index < 7) == [0, 1, 6, 7, 12, 17]
    # 0.2 s are 6 frames; the last detection was in frame 1, so from frame 8 on nobody is waited for.
    assert looks(lambda index: index < 4) == [0, 1, 6, 7, 8, 13, 18]


def test_where_the_machine_is_to_be_spared_it_keeps_to_its_turn() -> None:
    spared = Level(step_share=1.0, detect_every=4, width_share=1.0)
    assert looks(lambda index: index % 3 == 0, every=1, level=spared) == [0, 4, 8, 12, 16]


def test_every_frame_is_every_frame() -> None:
    assert looks(lambda index: index % 2 == 0, frames=6, every=1) == [0, 1, 2, 3, 4, 5]
