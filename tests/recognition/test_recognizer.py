"""State per track: gathered, stepped once per tick, scattered back, reset after a gap."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import bundle
from edge.data import Face, Frame, Track
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.recognition.decision import Decision
from edge.recognition.recognizer import Recognizer
from edge.recognition.scheduling import Turns, is_due

GREY = 51  # 0.2 after division by 255


def frame(time_s: float, value: int = GREY) -> Frame:
    return Frame(np.full((64, 64), value, np.uint8), time_s, round(time_s * 100))


def track(number: int) -> Track:
    return Track(number, Face(np.array([8, 8, 56, 56], np.float32), 1.0))


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


@pytest.mark.parametrize(
    "logits",
    [
        np.array([[0, np.nan, 0]], np.float32),
        np.array([[0, np.inf, 0]], np.float32),
        np.zeros((1, 2), np.float32),
        np.zeros((0, 3), np.float32),
    ],
)
def test_a_network_that_gives_no_numbers_is_named(recognizer: Recognizer, logits: np.ndarray) -> None:
    with pytest.raises(EdgeError, match="network of tiny gave NaN, infinity or too few"):
        recognizer.decide(frame(0.0), [track(1)], {"logits": logits, "new_state_h": np.zeros((1, 2))})


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


@pytest.mark.parametrize("fps", [0.2, 0.9, 1, 1.1])
def test_a_slow_source_becomes_warm(recognizer: Recognizer, fps: float) -> None:
    """One picture a second: the state is not reset between any two of them, be one of them late."""
    one = track(1)
    for at in range(10):
        (last,) = recognizer.update(frame((at + 0.2 * (at % 2)) / fps), [one])
    assert last.warm
    assert one.steps == 10


def test_more_faces_than_places_become_warm_on_a_slow_source(recognizer: Recognizer) -> None:
    recognizer._turns._most = 2
    faces = [track(number) for number in range(5)]
    warm = set()
    for at in range(60):
        warm |= {seen.track_id for seen in recognizer.update(frame(at), faces) if seen.warm and seen.fresh}
    assert warm == {0, 1, 2, 3, 4}


def test_the_largest_faces_come_first_and_no_face_starves(recognizer: Recognizer) -> None:
    """Twelve faces, four places: three for the largest, one that goes round among nine."""
    recognizer._turns._most = 4
    faces = [track(number) for number in range(12)]
    for number, one in enumerate(faces):
        one.face = Face(np.array([8, 8, 20 + 3 * number, 20 + 3 * number], np.float32), 1.0)
    for at in range(90):
        recognizer.update(frame(at / 10), faces)
    assert [one.steps for one in faces] == [10] * 9 + [90] * 3


class Crowd:
    """Faces before a budget; the network is left out, its book-keeping is not."""

    def __init__(
        self, most: int, warm_steps: int = 5, reset_after_s: float = 1.0, step_hz: float = 10
    ) -> None:
        self.turns = Turns(most, warm_steps, reset_after_s)
        self.warm_steps, self.reset_after_s, self.step_hz = warm_steps, reset_after_s, step_hz
        self.tracks: list[Track] = []
        self.before_s = float("-inf")
        self.warm: dict[int, list[float]] = {}  # track -> times of its warm estimates

    def add(self, side: float, now_s: float = 0.0) -> Track:
        number = len(self.tracks)
        self.tracks.append(Track(number, Face(np.array([0, 0, side, side], np.float32), 1.0)))
        return self.tracks[-1]

    def frame(self, now_s: float) -> list[Track]:
        """The faces that got a step, by rising number."""
        due = [one for one in self.tracks if is_due(one.last_step_s, now_s, self.step_hz)]
        chosen = self.turns.choose(due, now_s, max(1 / self.step_hz, now_s - self.before_s))
        for one in chosen:
            if one.last_step_s is None or now_s - one.last_step_s > self.reset_after_s:
                one.steps = 0
            one.steps, one.last_step_s = one.steps + 1, now_s
            if one.steps >= self.warm_steps:
                self.warm.setdefault(one.id, []).append(now_s)
        self.before_s = now_s
        return sorted(chosen, key=lambda one: one.id)


@pytest.mark.parametrize(
    ("faces", "most", "longest_s"),
    [(20, 8, 6.6), (14, 8, 0.8), (16, 8, 1.0), (17, 8, 5.1), (60, 2, 29.6)],
    # 13 small faces of 5 steps each at 10 Hz; 7 and 9 that just go round; 10 that cannot; 59
)
def test_every_face_becomes_warm_and_is_so_again(faces: int, most: int, longest_s: float) -> None:
    crowd = Crowd(most)
    for number in range(faces):
        crowd.add(200 - number)
    for at in range(10 * 120):  # a camera of 10 frames a second, for two minutes
        assert len(crowd.frame(at / 10)) == most
    for number in range(faces):
        times = crowd.warm[number]
        gaps = np.diff([*times, 120.0])
        assert gaps.max() <= longest_s, f"face {number}"
        assert times[0] <= 10 * longest_s


@settings(max_examples=60, deadline=None)
@given(
    faces=st.integers(2, 30),
    most=st.integers(2, 8),
    warm_steps=st.integers(1, 8),
    fps=st.sampled_from([4, 7.5, 10, 15, 25, 30]),
    newcomers=st.sampled_from([0.0, 0.02, 0.3]),
    seed=st.integers(0, 2**32),
)
def test_no_face_starves(
    faces: int, most: int, warm_steps: int, fps: float, newcomers: float, seed: int
) -> None:
    """Whoever comes, and however the sizes change: nobody has two turns before another has one."""
    random, crowd = Random(seed), Crowd(most, warm_steps)
    fed_s: dict[int, tuple[float, int]] = {}  # last step, or arrival, and how many were there then
    for at in range(int(15 * fps)):
        now = at / fps
        while len(crowd.tracks) < faces or (len(crowd.tracks) < 60 and random.random() < newcomers):
            crowd.add(0, now)
        for one in crowd.tracks:
            side = random.choice([20, 40, random.uniform(20, 200)])
            one.face = Face(np.array([0, 0, side, side], np.float32), 1.0)
            fed_s.setdefault(one.id, (now, len(crowd.tracks)))
        chosen = crowd.frame(now)
        assert len({one.id for one in chosen}) == len(chosen) <= most
        for one in chosen:
            fed_s[one.id] = now, len(crowd.tracks)
        for number, (since_s, there) in fed_s.items():
            patience_s = (there * warm_steps + 1) * max(0.1, 1 / fps) + 0.1
            assert now - since_s <= patience_s, f"face {number} of {there}"


def test_half_the_steps(recognizer: Recognizer) -> None:
    one = track(1)
    recognizer.step_share = 0.5
    for at in range(100):
        recognizer.update(frame(at / 50), [one])
    assert one.steps == 10


def test_no_tracks_no_run(recognizer: Recognizer) -> None:
    assert recognizer.update(frame(0.0), []) == []
