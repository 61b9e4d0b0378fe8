"""State per track: gathered, stepped once per tick, scattered back, reset after a gap."""

from pathlib import Path

import numpy as np
import pytest
import tiny

from edge import bundle
from edge.data import Face, Frame, Track
from edge.engines.ort import OrtEngine
from edge.recognition.decision import Decision
from edge.recognition.recognizer import Recognizer

GREY = 51  # 0.2 after division by 255


def frame(time_s: float, value: int = GREY) -> Frame:
    return Frame(np.full((64, 64), value, np.uint8), time_s, round(time_s * 100))


def track(number: int) -> Track:
    return Track(number, Face(np.array([8, 8, 56, 56], np.float32), 1.0), 0.0)


@pytest.fixture
def recognizer(tmp_path: Path) -> Recognizer:
    loaded = bundle.load(tiny.write(tmp_path / "b"))
    return Recognizer(OrtEngine(loaded.model("fp32")), loaded, Decision(loaded.labels, 1.0, 0.0, 0.0))


def test_states_belong_to_their_tracks(recognizer: Recognizer) -> None:
    old, young = track(1), track(2)
    recognizer.update(frame(0.0), [old])
    recognizer.update(frame(0.1), [old, young])
    recognizer.update(frame(0.2), [young, old])  # the order of tracks may change
    np.testing.assert_allclose(old.state[0], [0.6, 0.6], atol=1e-6)
    np.testing.assert_allclose(young.state[0], [0.4, 0.4], atol=1e-6)
    assert (old.steps, young.steps) == (3, 2)


def test_one_step_per_tick_and_repeats_are_marked(recognizer: Recognizer) -> None:
    one = track(1)
    fresh = [recognizer.update(frame(at / 50), [one])[0].fresh for at in range(50)]  # 50 fps, 10 Hz
    assert sum(fresh) == 10
    assert fresh[:6] == [True, False, False, False, False, True]


@pytest.mark.parametrize("fps", [10, 12, 15, 24, 25, 29.97, 30, 60, 120])
def test_the_mean_rate_is_step_hz_at_any_frame_rate(recognizer: Recognizer, fps: float) -> None:
    one = track(1)
    for at in range(int(10 * fps)):
        recognizer.update(frame(round(at / fps, 3)), [one])
    assert 98 <= one.steps <= 100, f"{one.steps} steps in 10 s at {fps} fps, expected 10 per second"


def test_a_gap_resets_the_state(recognizer: Recognizer) -> None:
    one = track(1)
    for at in (0.0, 0.1, 0.2):
        recognizer.update(frame(at), [one])
    assert recognizer.update(frame(0.9), [one])[0].warm
    (after,) = recognizer.update(frame(2.5), [one])
    assert one.steps == 1
    assert not after.warm
    np.testing.assert_allclose(one.state[0], [0.2, 0.2], atol=1e-6)


def test_the_largest_faces_come_first_and_no_face_starves(recognizer: Recognizer) -> None:
    """Twelve faces, four places: three for the largest, one that goes round among nine."""
    recognizer._most_faces = 4
    faces = [track(number) for number in range(12)]
    for number, one in enumerate(faces):
        one.face = Face(np.array([8, 8, 20 + 3 * number, 20 + 3 * number], np.float32), 1.0)
    for at in range(90):
        recognizer.update(frame(at / 10), faces)
    assert [one.steps for one in faces] == [10] * 9 + [90] * 3


def test_half_the_steps(recognizer: Recognizer) -> None:
    one = track(1)
    recognizer.step_share = 0.5
    for at in range(100):
        recognizer.update(frame(at / 50), [one])
    assert one.steps == 10


def test_no_tracks_no_run(recognizer: Recognizer) -> None:
    assert recognizer.update(frame(0.0), []) == []
