"""The Haar cascade on real photographs, and its agreement with YuNet."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from contracts import check_detector

from edge.data import Frame
from edge.errors import DependencyError
from edge.faces import haar
from edge.faces.haar import HaarDetector
from edge.faces.tracker import iou
from edge.faces.yunet import YuNetDetector

DATA = Path(__file__).parents[2].parent / "shared" / "data"
MODEL = DATA / "models" / "face_detection_yunet_2023mar.onnx"

pytestmark = pytest.mark.skipif(not hasattr(cv2, "CascadeClassifier"), reason="OpenCV 5 has no cascades")


def photograph(name: str) -> Frame:
    if name == "astronaut":
        image = pytest.importorskip("skimage.data").astronaut()[..., ::-1]
    else:
        cbook = pytest.importorskip("matplotlib.cbook")
        with cbook.get_sample_data("grace_hopper.jpg", asfileobj=True) as file:
            image = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
    return Frame(np.ascontiguousarray(image), 0.0, 0)


@pytest.mark.parametrize("name", ["astronaut", "grace_hopper"])
def test_contract(name: str) -> None:
    faces = check_detector(HaarDetector(), photograph(name))
    assert len(faces) == 1
    assert faces[0].landmarks is None


@pytest.mark.parametrize("name", ["astronaut", "grace_hopper"])
def test_both_detectors_give_one_face_square(name: str) -> None:
    if not MODEL.is_file():
        pytest.skip("shared/data has no YuNet model")
    frame = photograph(name)
    (ours,), (theirs,) = HaarDetector().detect(frame), YuNetDetector(MODEL).detect(frame)
    assert iou(ours.box_xyxy, theirs.box_xyxy) >= 0.8


def test_luma_gives_what_color_gives() -> None:
    frame = photograph("astronaut")
    gray = Frame(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY), 0.0, 0)
    (color,), (luma,) = HaarDetector().detect(frame), HaarDetector().detect(gray)
    # Shrinking before or after turning gray rounds differently, by a gray level at most.
    assert iou(color.box_xyxy, luma.box_xyxy) > 0.9


def test_faces_below_the_smallest_side_are_left_out() -> None:
    frame = photograph("astronaut")
    assert HaarDetector(min_side=0.1).detect(frame)
    assert HaarDetector(min_side=0.6).detect(frame) == []


def test_tiny_frames_do_not_crash() -> None:
    for shape in ((1, 1, 3), (15, 15), (3, 700, 3)):
        assert HaarDetector().detect(Frame(np.zeros(shape, np.uint8), 0.0, 0)) == []


def test_opencv_5_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(DependencyError, match="yunet"):
        HaarDetector()


def test_missing_cascades_are_named() -> None:
    with pytest.raises(DependencyError, match=r"absent\.xml is not installed"):
        haar.load_cascade("absent.xml")


@pytest.mark.parametrize(("clip", "expected"), [("no_face.mp4", 0), ("again.mkv", 5)])
def test_clips(clip: str, expected: int) -> None:
    path = DATA / "video" / clip
    if not path.is_file():
        pytest.skip(f"shared/data has no {clip}")
    capture, detector, found = cv2.VideoCapture(str(path)), HaarDetector(), 0
    for index in range(50):
        ok, image = capture.read()
        assert ok, f"{clip} ends at frame {index}"
        if index % 10 == 0:
            found += bool(detector.detect(Frame(image, index / 30, index)))
    capture.release()
    assert found == expected
