"""YuNet on real photographs, and its refusals."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from contracts import check_detector

from edge.data import Frame
from edge.errors import BundleError
from edge.faces.yunet import YuNetDetector, _to_face, shrink

DATA = Path(__file__).parents[2].parent / "shared" / "data"
MODEL = DATA / "models" / "face_detection_yunet_2023mar.onnx"
needs_model = pytest.mark.skipif(not MODEL.is_file(), reason="shared/data has no YuNet model")


@pytest.fixture(scope="module")
def astronaut() -> Frame:
    skimage = pytest.importorskip("skimage.data")
    return Frame(np.ascontiguousarray(skimage.astronaut()[..., ::-1]), 0.0, 0)


@needs_model
def test_contract(astronaut: Frame) -> None:
    faces = check_detector(YuNetDetector(MODEL), astronaut)
    assert len(faces) == 1


@needs_model
def test_the_face_is_framed_like_a_training_still(astronaut: Frame) -> None:
    (face,) = YuNetDetector(MODEL).detect(astronaut)
    assert face.landmarks is not None
    side = face.box_xyxy[2] - face.box_xyxy[0]
    inside = (face.landmarks - face.box_xyxy[:2]) / side
    eyes, mouth = inside[:2].mean(axis=0), inside[3:].mean(axis=0)
    # The tenth and ninetieth percentile of the stills, from the docstring's measurement.
    assert 0.40 < eyes[0] < 0.56
    assert 0.28 < eyes[1] < 0.45
    assert 0.66 < mouth[1] < 0.84


@needs_model
def test_luma_and_strided_frames_give_the_same_face(astronaut: Frame) -> None:
    detector = YuNetDetector(MODEL)
    (face,) = detector.detect(astronaut)
    gray = cv2.cvtColor(astronaut.image, cv2.COLOR_BGR2GRAY)
    wide = np.zeros((gray.shape[0], gray.shape[1] + 64), np.uint8)
    wide[:, : gray.shape[1]] = gray
    (luma,) = detector.detect(Frame(wide[:, : gray.shape[1]], 0.0, 0))
    # Color moves a box by a few pixels of 120; a wrong scale or offset would be far more.
    assert np.abs(luma.box_xyxy - face.box_xyxy).max() < 8


@needs_model
def test_luma_continues_a_track_from_a_lower_score(astronaut: Frame) -> None:
    gray = Frame(np.asarray(cv2.cvtColor(astronaut.image, cv2.COLOR_BGR2GRAY)), 0.0, 0)
    for frame, lower in ((astronaut, 0.0), (gray, 0.1)):
        (face,) = YuNetDetector(MODEL).detect(frame)
        for beyond, found in ((lower - 0.02, 1), (lower + 0.02, 0)):
            # The score is above 0.9, so that a threshold beyond it has to be allowed to pass 1.
            detector = YuNetDetector(MODEL, score_threshold=2.0, keep_threshold=face.score + beyond)
            assert len(detector.detect(frame)) == found


@needs_model
def test_boxes_come_back_in_pixels_of_the_frame(astronaut: Frame) -> None:
    detector = YuNetDetector(MODEL)
    large = Frame(cv2.resize(astronaut.image, None, fx=2, fy=2), 0.0, 0)
    (small_face,), (large_face,) = detector.detect(astronaut), detector.detect(large)
    assert large_face.box_xyxy == pytest.approx(small_face.box_xyxy * 2, abs=16)


@needs_model
def test_sizes_may_change_between_frames(astronaut: Frame) -> None:
    detector = YuNetDetector(MODEL)
    for shape in ((512, 512), (100, 37), (1, 1), (3, 700)):
        detector.detect(Frame(np.zeros((*shape, 3), np.uint8), 0.0, 0))
    assert len(detector.detect(astronaut)) == 1


def test_shrink_never_enlarges() -> None:
    image = np.zeros((60, 100, 3), np.uint8)
    assert shrink(image, 320) is image
    assert shrink(image, 50).shape == (30, 50, 3)


@pytest.mark.parametrize("size", [(480, 640), (270, 480), (271, 481), (64, 1), (1, 64), (1080, 1920)])
@pytest.mark.parametrize("width", [1, 32, 127, 160, 192, 240, 320])
def test_shrink_keeps_places_and_brightness(size: tuple[int, int], width: int) -> None:
    """A slope from left to right and from top to bottom stays one, so no box is shifted."""
    down, across = np.mgrid[: size[0], : size[1]].astype(np.float32)
    image = (100 * (across + 0.5) / size[1] + 100 * (down + 0.5) / size[0]).astype(np.uint8)
    small = shrink(image, width)
    rows, columns = min(max(round(size[0] * width / size[1]), 1), size[0]), min(width, size[1])
    if width >= size[1]:
        rows = size[0]
    assert small.shape == (rows, columns)
    down, across = np.mgrid[:rows, :columns].astype(np.float32)
    wanted = 100 * (across + 0.5) / columns + 100 * (down + 0.5) / rows
    # One gray level for the truncation above, half a one for each of at most six roundings.
    assert np.abs(small - wanted).max() <= 4


def test_rows_that_are_not_finite_or_empty_are_no_faces() -> None:
    good = np.array([10, 10, 40, 50, 20, 25, 40, 25, 30, 35, 22, 45, 38, 45, 0.9], np.float32)
    back = np.ones(2, np.float32)
    assert _to_face(good, back) is not None
    for index, value in ((0, np.nan), (2, 0.0), (3, -1.0), (7, np.inf), (14, np.nan)):
        bad = good.copy()
        bad[index] = value
        assert _to_face(bad, back) is None, f"column {index} = {value} gave a face"


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"absent\.onnx is missing; run `emotion-edge fetch`"):
        YuNetDetector(tmp_path / "absent.onnx")
    with pytest.raises(BundleError, match=r"is a folder, expected a regular file; run `emotion-edge fetch`"):
        YuNetDetector(tmp_path)


def test_a_file_that_is_no_onnx_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("no network")
    with pytest.raises(BundleError, match="is not a YuNet"):
        YuNetDetector(path)


@pytest.mark.parametrize("name", ["ultraface_slim_320.onnx", "peer_mini_xception_fer2013.onnx"])
def test_another_network_is_refused(name: str) -> None:
    other = DATA / "models" / name
    if not other.is_file():
        pytest.skip(f"shared/data has no {name}")
    with pytest.raises(BundleError, match="is not a YuNet"):
        YuNetDetector(other)


def test_the_square_of_a_tilted_face_turns_with_it() -> None:
    upright = np.array([10, 10, 40, 50, 20, 25, 40, 25, 30, 35, 22, 45, 38, 45, 0.9], np.float32)
    roll, one = 0.5, np.ones(2, np.float32)
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    points = upright[4:14].reshape(5, 2)
    middle = points.mean(axis=0)
    tilted = upright.copy()
    tilted[4:14] = ((points - middle) @ turn + middle).ravel()
    boxes = [face.box_xyxy for row in (upright, tilted) if (face := _to_face(row, one))]
    offsets = [(box[:2] + box[2:]) / 2 - middle for box in boxes]
    assert offsets[1] == pytest.approx(offsets[0] @ turn, abs=1e-3)
