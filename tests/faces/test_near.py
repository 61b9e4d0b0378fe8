"""Looks around a known face: where they are, what they cost, and that YuNet finds the face there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.demo import ACTORS, _photograph
from edge.data import Face, Frame, Search
from edge.faces.near import crop_around, is_near
from edge.faces.square import square
from edge.faces.tracker import iou
from edge.faces.yunet import YuNetDetector

MODEL = Path(__file__).parents[2].parent / "shared" / "data" / "models" / "face_detection_yunet_2023mar.onnx"
needs_model = pytest.mark.skipif(not MODEL.is_file(), reason="shared/data has no YuNet model")


class Looks(YuNetDetector):
    """Counts pictures of the network by their shapes."""

    def __init__(self) -> None:
        super().__init__(MODEL, 480, 0.7, 0.5)
        self.seen: list[tuple[int, ...]] = []
        detect = self._network.detect

        def counted(image):
            self.seen.append(image.shape[:2])
            return detect(image)

        self._network.detect = counted


@pytest.fixture
def scene() -> np.ndarray:
    """A photograph twice in a frame of 1280x720."""
    photograph = _photograph(ACTORS[0])
    height, width = photograph.shape[:2]
    picture = np.full((720, 1280, 3), 90, np.uint8)
    for left in (40, 700):
        picture[100 : 100 + height, left : left + width] = photograph[: 720 - 100, : 1280 - left]
    return picture


@needs_model
@pytest.mark.parametrize("luma", [False, True])
def test_the_same_face_is_found_around_its_box(scene: np.ndarray, luma: bool) -> None:
    frame = Frame(scene[..., 1].copy() if luma else scene, 0.0, 0)
    detector = Looks()
    faces = detector.detect(frame)
    assert len(faces) == 2
    del detector.seen[:]
    small = 24 / 1280  # another face that is tracked asks for many pixels
    again = detector.detect(frame, Search(small, near=tuple(face.box_xyxy for face in faces)))
    assert [max(shape) for shape in detector.seen] == [160, 160] if luma else [128, 128]
    for face in faces:
        # The network sees other pixels: a look at another width gives boxes as far apart.
        assert max(iou(face.box_xyxy, other.box_xyxy) for other in again) > 0.85
        assert min(np.abs(face.landmarks - other.landmarks).max() for other in again) < 20
    assert [face.score for face in again] == sorted((face.score for face in again), reverse=True)


@needs_model
def test_the_whole_frame_is_looked_at_where_that_is_no_slower(scene: np.ndarray) -> None:
    frame, detector = Frame(scene, 0.0, 0), Looks()
    boxes = tuple(face.box_xyxy for face in detector.detect(frame))
    detector.detect(frame, Search(0.25, near=boxes))  # a large face: 128 pixels show the whole frame
    assert detector.seen == [(270, 480), (72, 128)]
    detector.detect(frame, Search(None, near=boxes * 10))
    assert detector.seen[2:] == [(270, 480)]


@needs_model
def test_a_face_outside_of_the_frame_is_no_fault(scene: np.ndarray) -> None:
    detector = Looks()
    for x, y in ((-500, 100), (100, -500), (5000, 100), (100, 5000), (0, 0), (1280, 720)):
        assert detector.detect(Frame(scene, 0.0, 0), Search(0.02, near=(square(x, y, 60),))) == []


@needs_model
def test_another_face_in_the_crop_is_left_to_its_own_look(scene: np.ndarray) -> None:
    detector = Looks()
    left = min((face.box_xyxy for face in detector.detect(Frame(scene, 0.0, 0))), key=lambda box: box[0])
    beside = left + np.float32([1, 0, 1, 0]) * (left[2] - left[0])
    assert len(detector.detect(Frame(scene, 0.0, 0), Search(0.02, near=(left,)))) == 1
    assert detector.detect(Frame(scene, 0.0, 0), Search(0.02, near=(beside,))) == []


SIDES = st.floats(1, 3000, width=32)


@given(
    st.floats(-4000, 8000),
    st.floats(-4000, 8000),
    SIDES,
    st.integers(1, 4000),
    st.integers(1, 4000),
    st.booleans(),
)
def test_a_crop_lies_within_the_frame(x, y, side, width, height, luma) -> None:
    box = square(x, y, side)
    crop = crop_around(box, (height, width) if luma else (height, width, 3))
    assert 0 <= crop.left < crop.right <= width
    assert 0 <= crop.top < crop.bottom <= height
    assert 1 <= crop.width <= min(crop.right - crop.left, 160)
    assert crop.cost <= 160 * 4000 + 4096
    if side * 1.1 < x < width - side * 1.1 and side * 1.1 < y < height - side * 1.1:
        assert crop.left <= box[0]
        assert box[2] <= crop.right
        assert crop.right - crop.left == crop.bottom - crop.top


def test_only_a_face_that_may_be_the_same_is_near() -> None:
    box = square(100, 100, 40)
    for x, y, near in ((100, 100, True), (123, 77, True), (125, 100, False), (100, 75, False)):
        assert is_near(Face(square(x, y, 20)), box) is near
