"""No answer without a face: what is dark, flat, blurred, or no face by the network's own word."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

import edge
from edge import bundle
from edge.data import Face, Frame
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.faces.tracker import Tracker
from edge.manifest import FaceOutput
from edge.pipeline import follow
from edge.recognition.decision import Decision
from edge.recognition.face_check import FaceCheck
from edge.recognition.recognizer import Recognizer

SIDE = 48
BOX = Face(np.array([8, 8, 56, 56], np.float32), 0.9)
CHECK = FaceCheck(FaceOutput("face", 0.5))


def texture(contrast: float = 50, mean: float = 120, blur: float = 0) -> np.ndarray:
    """A picture (64,64) with detail, in gray levels."""
    grain = np.random.default_rng(0).standard_normal((64, 64))
    grain = cv2.GaussianBlur(grain, (0, 0), max(blur, 1.0))
    return np.clip(mean + contrast * grain / grain.std(), 0, 255).astype(np.uint8)


def crops(*pictures: np.ndarray) -> np.ndarray:
    return np.stack([picture[:SIDE, :SIDE] for picture in pictures])


class Judge:
    """The tiny network with an output that says whether there is a face, from ``shows``."""

    def __init__(self, engine: OrtEngine) -> None:
        self._engine, self.shows, self.ran = engine, 1.0, 0

    def run(self, feeds):
        self.ran += 1
        outputs = self._engine.run(feeds)
        return outputs | {"face": np.full((len(outputs["logits"]), 1), self.shows, np.float32)}


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    return Judge(OrtEngine(bundle.load(tiny.write(tmp_path / "b")).model("fp32")))


@pytest.fixture
def recognizer(tmp_path: Path, judge: Judge) -> Recognizer:
    loaded = bundle.load(tmp_path / "b")
    return Recognizer(judge, loaded, Decision(loaded.labels, 1.0, 0.0, 0.0), 8, CHECK, 0.4)


class Scene:
    """A face that is detected in every frame, whatever the frame shows."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.recognizer, self.tracker, self.index = recognizer, Tracker(), 0

    def see(self, picture: np.ndarray, looked: bool = True) -> list[tuple[int, str | None, bool]]:
        """Id, label and freshness of every estimate; ten frames are a second. ``looked``: by the detector."""
        self.index += 1
        faces = [BOX] if looked else None
        frame = Frame(picture, self.index / 10, self.index)
        estimates = follow(frame, "same", lambda _: faces, self.tracker, self.recognizer)
        return [(estimate.track_id, estimate.label, estimate.fresh) for estimate in estimates]


@pytest.fixture
def scene(recognizer: Recognizer) -> Scene:
    shown = Scene(recognizer)
    shown.see(texture())
    assert shown.see(texture()) == [(1, "calm", True)]
    return shown


def test_what_is_dark_flat_or_blurred_cannot_be_read() -> None:
    seen = crops(
        texture(), texture(contrast=3), texture(contrast=3, mean=4), texture(blur=14), texture() // 20
    )
    assert FaceCheck().readable(seen) == [True, False, False, False, False]
    assert FaceCheck(on=False).readable(seen) == [True] * 5


def test_color_and_gray_are_judged_alike() -> None:
    for picture in (texture(), texture(blur=14), texture(contrast=3)):
        gray = crops(picture)
        color = np.repeat(gray[..., None], 3, axis=3)
        assert FaceCheck().readable(gray) == FaceCheck().readable(color)


@given(st.integers(0, 255), st.integers(1, 4))
def test_one_gray_level_is_no_face(level: int, count: int) -> None:
    assert FaceCheck().readable(np.full((count, SIDE, SIDE), level, np.uint8)) == [False] * count


@pytest.mark.parametrize("shown", [[[np.nan]], [[np.inf]], [[1.0], [1.0]], [1.0]])
def test_a_network_that_does_not_say_is_named(shown: list[object]) -> None:
    with pytest.raises(EdgeError, match="too few numbers in 'face'; use another bundle"):
        CHECK.faces({"face": np.array(shown, np.float32)}, [False])


@pytest.mark.parametrize("picture", [texture() // 20, texture(contrast=3), texture(blur=14)])
def test_what_cannot_be_read_is_uncertain_at_once_and_runs_no_network(
    scene: Scene, judge: Judge, picture: np.ndarray
) -> None:
    ran = judge.ran
    assert scene.see(picture, looked=False) == [(1, "uncertain", False)]
    assert judge.ran == ran
    assert scene.see(texture()) == [(1, "calm", True)], "a blink ends no track"


def test_what_the_network_calls_no_face_is_uncertain_and_leaves_the_state(scene: Scene, judge: Judge) -> None:
    (track,) = scene.tracker.update(None, scene.index / 10)
    before = (track.steps, track.state[0].copy())
    judge.shows = 0.4
    assert scene.see(texture()) == [(1, "uncertain", False)]
    assert track.steps == before[0]
    np.testing.assert_array_equal(track.state[0], before[1])


def test_a_track_ends_after_more_than_a_blink_and_its_id_with_it(scene: Scene, judge: Judge) -> None:
    judge.shows = 0.0
    shown = [scene.see(texture()) for _ in range(12)]
    assert shown[:5] == [[(1, "uncertain", False)]] * 5, "0.4 s after the first of them is no longer a blink"
    assert shown[5:] == [[]] * 7, "the same box begins no other track"
    judge.shows = 1.0
    assert [scene.see(texture()) for _ in range(2)] == [[], [(2, "calm", True)]], "confirmed anew"


def test_where_no_face_was_a_moment_ago_it_has_to_be_clearer(recognizer: Recognizer, judge: Judge) -> None:
    recognizer._check = FaceCheck(FaceOutput("face", 0.5, starts_at=2.0))
    scene, seen = Scene(recognizer), []
    for judge.shows in (1.0, 1.0, 3.0, 3.0, 0.7, 0.4, 1.0, 2.1, 0.7):
        seen.append([label for _, label, _ in scene.see(texture())])
    assert seen == [[], [], [], ["calm"], ["calm"], ["uncertain"], ["uncertain"], ["calm"], ["calm"]]


def test_a_frame_without_content_is_not_answered_between_two_steps(scene: Scene) -> None:
    frame = Frame(np.zeros((64, 64), np.uint8), scene.index / 10 + 0.01, scene.index + 1)
    (estimate,) = follow(
        frame, "same", lambda _: pytest.fail("nobody needs to look"), scene.tracker, scene.recognizer
    )
    assert (estimate.label, estimate.fresh, estimate.timestamp_s) == ("uncertain", False, frame.timestamp_s)


def test_what_shows_no_face_is_no_track_and_no_reason_to_look_again(
    recognizer: Recognizer, judge: Judge
) -> None:
    judge.shows = 0.0
    shown = Scene(recognizer)
    assert [shown.see(texture()) for _ in range(20)] == [[]] * 20
    assert not shown.tracker.unsure


def test_a_single_picture_without_a_face_has_no_answer(recognizer: Recognizer, judge: Judge) -> None:
    frame = Frame(texture(), 0.0, 0, still=True)
    for shows, count in ((0.0, 0), (1.0, 1)):
        judge.shows = shows
        tracks = Tracker().still([BOX], lambda faces: recognizer.are_faces(frame, faces))
        assert len(recognizer.still(frame, tracks)) == count


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.05, 0.1, 0.3, 1.5])), max_size=40))
@settings(max_examples=30, deadline=None)
def test_no_label_is_ever_shown_for_a_crop_without_a_face(steps: list[tuple[bool, float]]) -> None:
    """Whatever the order and the pace: an id never returns, and only a face is answered."""
    engine = Judge(_Constant())
    folder = bundle.load(bundle.REFERENCE)
    recognizer = Recognizer(engine, folder, Decision(folder.labels, 1.0, 0.0, 0.0), 8, CHECK, 0.4)
    tracker, now, ended, last = Tracker(), 0.0, set(), set()
    for index, (shows, wait_s) in enumerate(steps):
        now += wait_s
        engine.shows = float(shows)
        estimates = follow(Frame(texture(), now, index), "same", lambda _: [BOX], tracker, recognizer)
        ids = {estimate.track_id for estimate in estimates}
        ended |= last - ids
        assert not ids & ended
        last = ids
        assert shows or all(e.label == "uncertain" or not e.fresh for e in estimates)
        assert shows or not any(e.fresh for e in estimates)


class _Constant:
    """A network of the reference's shape that always says the same."""

    def run(self, feeds):
        count = len(feeds["face"])
        return {"logits": np.zeros((count, 8), np.float32), "new_state_h": np.zeros((count, 96), np.float32)}


def test_an_output_that_the_graph_lacks_is_refused(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "b", face_check={"output": "face_logit", "threshold": 0.0})
    with pytest.raises(EdgeError, match="output face_logit is missing in the graph"):
        edge.analyze(np.zeros((64, 64), np.uint8), bundle=folder)


def test_a_face_that_is_asked_seldom_is_not_ended_by_one_crop(scene: Scene, judge: Judge) -> None:
    judge.shows = 0.4
    assert scene.see(texture()) == [(1, "uncertain", False)]
    (track,) = scene.tracker.update(None, scene.index / 10)
    assert scene.recognizer.gone([track]) == [], "nobody looked at it since"


def test_switched_off_no_network_is_asked_before_a_track(recognizer: Recognizer, judge: Judge) -> None:
    recognizer._check = FaceCheck(FaceOutput("face", 0.5), on=False)
    assert recognizer.are_faces(Frame(texture(), 0.0, 0), [BOX]) == [True]
    assert judge.ran == 0


def test_after_a_gap_the_label_is_shown_anew(scene: Scene, judge: Judge) -> None:
    since = []
    for judge.shows in (1.0, 0.4, 1.0, 1.0):
        scene.see(texture())
        (track,) = scene.tracker.update(None, scene.index / 10)
        since.append(round(track.estimate.label_since_s, 3))
    assert since == sorted(since)
    assert since[2] == since[3] == round((scene.index - 1) / 10, 3)
