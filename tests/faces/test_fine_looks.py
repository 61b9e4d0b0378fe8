"""Looks at parts of a wide frame, with the real detector."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from no_network import NoNetwork

from edge.capture.demo import ACTORS, _photograph
from edge.data import Fine, Frame, Search
from edge.faces.fine_looks import parts
from edge.faces.square import square
from edge.faces.tracker import Tracker, iou
from edge.faces.wide import WideLooks
from edge.faces.yunet import YuNetDetector
from edge.pipeline import Pipeline

MODEL = Path(__file__).parents[2].parent / "shared" / "data" / "models" / "face_detection_yunet_2023mar.onnx"
pytestmark = pytest.mark.skipif(not MODEL.is_file(), reason="shared/data has no YuNet model")
SIDE = 52  # pixels of each face


class Recognizer(NoNetwork):
    def update(self, frame, tracks):
        return tracks


@pytest.fixture(scope="module")
def detector() -> YuNetDetector:
    return YuNetDetector(MODEL, 480, 0.8, 0.6)


def scene(detector: YuNetDetector, luma: bool) -> tuple[np.ndarray, list[np.ndarray]]:
    """A frame of 1080p with a small face in each corner, and one where the borders of all parts cross."""
    photograph = _photograph(ACTORS[0])
    (face,) = detector.detect(Frame(photograph, 0.0, 0))
    scale = SIDE / float(face.box_xyxy[2] - face.box_xyxy[0])
    person = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = person.shape[:2]
    at = (face.box_xyxy[:2] + face.box_xyxy[2:]) / 2 * scale
    picture, boxes = np.full((1080, 1920, 3), 90, np.uint8), []
    for x, y in ((20, 20), (1600, 20), (20, 800), (1600, 800), (960 - at[0], 540 - at[1])):
        left, top = round(x), round(y)
        picture[top : top + height, left : left + width] = person
        boxes.append(square(left + at[0], top + at[1], SIDE))
    return (picture[..., 1].copy() if luma else picture), boxes


@pytest.mark.parametrize("luma", [False, True])
def test_faces_of_52_pixels_in_1080p_are_found_and_stay(detector: YuNetDetector, luma: bool) -> None:
    image, boxes = scene(detector, luma)
    assert all(face.score < 0.8 for face in detector.detect(Frame(image, 0.0, 0))), "too small in the whole"
    pipeline = Pipeline(
        detector, Tracker(starts_at=0.8), Recognizer(), detect_every=3, wide=WideLooks(480, 48)
    )
    shown = [pipeline.step(Frame(image, index / 25, index)) for index in range(75)]
    for tracks in shown[30:]:
        assert {track.id for track in tracks} == {1, 2, 3, 4, 5}
        for box in boxes:
            assert max(iou(track.face.box_xyxy, box) for track in tracks) > 0.6
    blank = np.full_like(image, 90)
    shown = [pipeline.step(Frame(blank, index / 25, index)) for index in range(75, 125)]
    assert not shown[-1]


def test_a_face_cut_in_half_by_the_border_of_a_part_is_found_whole(detector: YuNetDetector) -> None:
    image, boxes = scene(detector, luma=False)
    x0, _, x1, _ = boxes[4].tolist()
    for cut in (0.4, 0.5, 0.6, 0.7):
        part = np.array([0, 0, x0 + cut * (x1 - x0), 1080], np.float32)
        faces = detector.detect(Frame(image, 0.0, 0), Search(fine=Fine(48, part=part)))
        for face in faces:
            assert max(iou(face.box_xyxy, box) for box in boxes) > 0.6


def test_a_face_that_is_known_is_not_looked_at_again(detector: YuNetDetector) -> None:
    image, boxes = scene(detector, luma=False)
    part = parts(image.shape, 48, 480)[0]
    for known, found in (((), 2), ((boxes[0],), 1), (tuple(boxes), 0)):
        faces = detector.detect(Frame(image, 0.0, 0), Search(fine=Fine(48, part=part, known=known)))
        assert len(faces) == found
