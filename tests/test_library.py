"""The library: light to import, the same answers as the command line, faces of others, faults in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import edge
from edge.__main__ import main
from edge.capture.demo import ACTORS, DemoSource, face_square
from edge.faces.haar import HaarDetector
from edge.faces.square import CONVENTIONS
from edge.faces.tracker import iou
from edge.sinks.video import VideoSink

DATA = Path(__file__).parents[2] / "shared" / "data"
HAAR = {"detector.kind": "haar"}


@pytest.fixture(scope="module")
def frames() -> list[edge.Frame]:
    """Two seconds of the demo, with the smiling face alone in sight."""
    return list(DemoSource().frames())[32:62]


def test_importing_it_loads_nothing_heavy_and_takes_little_time() -> None:
    script = (
        "import sys, time; before = set(sys.modules); began = time.perf_counter(); import edge; "
        "took = time.perf_counter() - began; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(took, *sorted({'cv2', 'onnxruntime', 'numpy'} & new)); dir(edge)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    took_s, *heavy = done.stdout.split()
    assert not heavy
    assert float(took_s) < 0.05


def test_every_name_that_is_offered_is_there() -> None:
    assert all(getattr(edge, name) is not None for name in edge.__all__)
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        edge.opne  # noqa: B018


def test_open_gives_the_estimates_of_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    words = ["run", "demo", "--max-frames", "60", "--set", "detector.kind=haar", "--jsonl", str(path)]
    assert main(words) == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    with edge.open("demo", settings={**HAAR, "output.max_frames": 60}) as run:
        rows = [
            {"frame": frame.index, **estimate.to_dict()}
            for frame, estimates in run
            for estimate in estimates
            if estimate.fresh
        ]
    assert rows == lines
    assert lines


def test_open_writes_the_outputs_that_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    run = edge.open("demo", settings={**HAAR, "output.max_frames": 45, "output.jsonl": str(path)})
    fresh = sum(estimate.fresh for _, estimates in run for estimate in estimates)
    run.close()
    run.close()
    assert len(path.read_text().splitlines()) == fresh > 0


@pytest.mark.parametrize(
    ("source", "settings", "message"),
    [
        ("nowhere.mp4", {}, "nowhere.mp4 does not exist"),
        ("demo", {"detector.evry": 5}, "unknown key detector.evry"),
        ("demo", {"output.picture": "a.png"}, "unknown key output.picture; .output. has jsonl, annotate"),
        ("webcam://0", {}, "is unknown, expected /dev/video0"),
    ],
)
def test_faults_are_one_line(source: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(edge.EdgeError, match=message) as caught:
        edge.open(source, settings=settings)
    assert "\n" not in str(caught.value)


def test_a_loop_of_ones_own_follows_a_face(frames: list[edge.Frame]) -> None:
    with edge.ExpressionTracker(settings=HAAR) as tracker:
        seen = [tracker.update(frame.image, frame.timestamp_s) for frame in frames]
    last = seen[-1][-1]
    assert {estimate.track_id for estimates in seen for estimate in estimates} == {last.track_id}
    assert (last.label, last.warm, last.still) == ("happiness", True, False)
    assert last.labels == edge.load_bundle().labels


def test_faces_of_another_detector_need_none_of_ours(frames: list[edge.Frame], monkeypatch) -> None:
    monkeypatch.setattr(HaarDetector, "detect", lambda *_: pytest.fail("it was asked"))
    with edge.ExpressionTracker(settings=HAAR) as tracker:
        for frame in frames:
            x, y, side = face_square(ACTORS[0], frame.timestamp_s)
            box = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], np.float32)
            estimates = tracker.update(frame.image, frame.timestamp_s, faces=[edge.Face(box)])
        assert [(e.track_id, e.label, e.warm) for e in estimates] == [(1, "happiness", True)]
        with pytest.raises(edge.EdgeError, match="in every call, or in none"):
            tracker.update(frames[-1].image)


def test_after_a_cut_whoever_is_passed_in_is_new(frames: list[edge.Frame]) -> None:
    picture = frames[-1].image
    other = np.ascontiguousarray(picture[::-1, ::-1])
    box = np.array([200, 100, 330, 230], np.float32)
    with edge.ExpressionTracker(settings={**HAAR, "decision.check_face": False}) as tracker:
        ids = []
        for at, image in enumerate([picture] * 4 + [other] * 4):
            estimates = tracker.update(image, at / 2, faces=[edge.Face(box)])
            ids.append([estimate.track_id for estimate in estimates])
    assert ids == [[], [1], [1], [1], [], [2], [2], [2]]


def test_without_times_it_takes_the_clock_and_gray_will_do(frames: list[edge.Frame]) -> None:
    with edge.ExpressionTracker(settings=HAAR) as tracker:
        gray = cv2.cvtColor(frames[0].image, cv2.COLOR_BGR2GRAY)
        first, second = tracker.update(gray), tracker.update(gray)
    assert (first, [estimate.track_id for estimate in second]) == ([], [1])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "image is NoneType, expected a numpy array"),
        (np.zeros((4, 4, 4), np.uint8), r"image is \(4, 4, 4\) of uint8"),
        (np.zeros((4, 4), np.float32), "of float32, expected"),
        (np.zeros((0, 4), np.uint8), r"image is \(0, 4\)"),
    ],
)
def test_what_is_no_picture_is_refused(image: object, message: str) -> None:
    with edge.ExpressionTracker() as tracker, pytest.raises(edge.EdgeError, match=message):
        tracker.update(image)
    with pytest.raises(edge.EdgeError, match=message):
        edge.analyze(image)


def test_a_still_is_shown_eight_times(frames: list[edge.Frame]) -> None:
    (estimate,) = edge.analyze(frames[-1].image, settings=HAAR)
    as_json = json.loads(json.dumps(estimate.to_dict()))
    assert (as_json["label"], as_json["still"], as_json["warm"]) == ("happiness", True, True)
    assert sum(as_json["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    with edge.ExpressionTracker(settings=HAAR) as tracker:
        box = edge.Face(estimate.box_xyxy)
        shown = [tracker.update(frames[-1].image, step / 10, faces=[box]) for step in range(9)]
    # A face becomes a track at its second sight, so that nine sights are eight steps.
    assert np.allclose(shown[-1][0].probabilities, estimate.probabilities, atol=1e-6)
    assert edge.analyze(np.full((240, 320, 3), 128, np.uint8), settings=HAAR) == []


@pytest.mark.parametrize("kind", ["folder", "clip"])
def test_a_source_of_one_picture_gets_what_analyze_says(
    frames: list[edge.Frame], tmp_path: Path, kind: str
) -> None:
    picture = frames[-1].image
    if kind == "folder":
        source = tmp_path / "photos"
        source.mkdir()
        cv2.imwrite(str(source / "photo.png"), picture)
    else:
        source = tmp_path / "photo.mp4"
        with VideoSink(str(source)) as sink:
            sink.write(edge.Frame(picture, 0.0, 0), [])
    outputs = {
        f"output.{name}": str(tmp_path / f"o.{end}")
        for name, end in (("jsonl", "jsonl"), ("annotate", "mp4"))
    }
    with edge.open(source, settings={**HAAR, **outputs}) as run:
        ((frame, (estimate,)),) = list(run)
    (said,) = edge.analyze(frame.image, settings=HAAR)
    assert estimate.to_dict() == said.to_dict()
    assert (estimate.still, estimate.warm, estimate.fresh) == (True, True, True)
    (line,) = (tmp_path / "o.jsonl").read_text().splitlines()
    assert json.loads(line) == {**said.to_dict(), "frame": 0}
    assert (tmp_path / "o.mp4").stat().st_size > 1000


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_box_becomes_a_square_by_its_convention(convention: str) -> None:
    square = edge.face_square((100, 50, 200, 180), convention=convention)
    side = square[2] - square[0]
    assert side == pytest.approx(square[3] - square[1])
    assert side == pytest.approx(CONVENTIONS[convention].side * (100 * 130) ** 0.5, rel=1e-5)


@pytest.mark.parametrize(
    ("box", "more", "message"),
    [
        ((0, 0, 10, 10), {}, "convention is None, expected one of yunet, haar, ultraface; or pass five"),
        ((0, 0, 10, 10), {"convention": "mtcnn"}, "'mtcnn', expected one of"),
        ((10, 0, 0, 10), {"convention": "haar"}, "expected x0, y0, x1, y1"),
        ((0, 0, 9, float("nan")), {"convention": "haar"}, "expected x0, y0, x1, y1"),
        ((0, 0, 9, 9), {"landmarks": [[1, 1]]}, r"landmarks are \(1, 2\)"),
        ((0, 0, 9, 9), {"landmarks": [[1, 1]] * 5}, "coincide"),
    ],
)
def test_a_square_that_cannot_be_known_is_refused(box, more, message: str) -> None:
    with pytest.raises(edge.EdgeError, match=message):
        edge.face_square(box, **more)


@pytest.mark.skipif(not (DATA / "london").is_dir(), reason="needs shared/data/london and its models")
def test_squares_from_another_detector_agree_with_ours() -> None:
    """UltraFace's boxes by their convention, and five landmarks alone: IoU >= 0.8 with YuNet's square."""
    from ultraface import UltraFace

    from edge.faces.yunet import YuNetDetector

    other = UltraFace(DATA / "models" / "ultraface_slim_320.onnx")
    ours = YuNetDetector(DATA / "models" / "face_detection_yunet_2023mar.onnx", 640)
    for path in sorted((DATA / "london").glob("*_smiling.jpg"))[::4]:
        image = cv2.imread(str(path))
        face, box = ours.detect(edge.Frame(image, 0.0, 0))[0], other.largest(image)
        assert iou(edge.face_square(box, convention="ultraface"), face.box_xyxy) >= 0.8, path.name
        assert iou(edge.face_square(box, face.landmarks), face.box_xyxy) >= 0.8, path.name
