"""What a frame is measured at: light, clipped shares, size and sharpness of faces; and the hints."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.aiming.aim import Aim, Aimed, look
from edge.aiming.hints import hints
from edge.data import Face, Frame
from edge.recognition.face_check import FaceCheck, sharpness


def frame(image: np.ndarray, luma_range: str = "full") -> Frame:
    return Frame(image, 0.0, 0, luma_range)


def face(*box: float) -> Face:
    return Face(np.array(box, np.float32))


def aim(
    *sides: float, light: float = 120, face_light: float = 120, sharp: float = 2, white: float = 0
) -> Aim:
    faces = tuple(Aimed((9, 9, 9 + side, 9 + side), side, face_light, sharp) for side in sides)
    return Aim(640, 480, light, 0.0, white, faces)


def test_light_and_what_is_clipped() -> None:
    image = np.full((480, 640), 100, np.uint8)
    image[:120] = 255
    image[120:168] = 0
    seen = look(frame(image), [])
    assert (seen.width, seen.height) == (640, 480)
    assert seen.white == pytest.approx(0.25, abs=0.01)
    assert seen.black == pytest.approx(0.10, abs=0.01)
    assert seen.light == pytest.approx(image.mean(), abs=1)
    color = look(frame(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)), [])
    assert color == seen


def test_limited_luma_is_stretched() -> None:
    """16 is black and 235 is white there: both are clipped, and in full range neither is."""
    image = np.full((48, 64), 16, np.uint8)
    image[24:] = 235
    limited, full = look(frame(image, "limited"), []), look(frame(image), [])
    assert (limited.black, limited.white) == (0.5, 0.5)
    assert (full.black, full.white) == (0.0, 0.0)


def test_faces_are_measured_the_largest_first() -> None:
    rng = np.random.default_rng(1)
    sharp = rng.integers(0, 256, (480, 640), np.uint8).astype(np.uint8)
    image = cv2.GaussianBlur(sharp, (0, 0), 12)
    image[:240, :240] = cv2.resize(sharp[:60, :60], (240, 240), interpolation=cv2.INTER_NEAREST)
    seen = look(frame(image), [face(300, 300, 340, 340), face(0, 0, 200, 200)])
    assert [one.side_px for one in seen.faces] == [200, 40]
    assert seen.faces[0].sharp > 1
    large = look(frame(image), [face(260, 260, 460, 460)]).faces[0]
    assert large.sharp < seen.faces[0].sharp / 2


def test_sharpness_agrees_with_the_check_of_a_run() -> None:
    rng = np.random.default_rng(2)
    crop = rng.integers(0, 256, (48, 48)).astype(np.uint8)
    for sigma in (0.1, 1, 2, 4, 8, 12, 16, 24):
        blurred = cv2.GaussianBlur(crop, (0, 0), sigma)
        blurred = cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX)
        assert FaceCheck().readable(blurred[None]) == [sharpness(blurred) >= 1]
    assert sharpness(np.full((48, 48), 90, np.uint8)) == 0


@given(
    st.lists(st.tuples(*[st.floats(width=32)] * 4), max_size=4),
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
    st.booleans(),
)
def test_any_box_is_measured_or_left_out(boxes: list[tuple[float, ...]], shape: tuple, color: bool) -> None:
    image = np.full((*shape, 3) if color else shape, 77, np.uint8)
    seen = look(frame(image), [face(*box) for box in boxes])
    for one in seen.faces:
        assert np.isfinite(one.box_xyxy).all()
        assert one.side_px > 0
        assert 0 <= one.light <= 255
        assert one.sharp >= 0
    hints(seen, 48, True)


def test_all_is_well() -> None:
    assert hints(aim(90), 48, camera=True) == []


def test_each_fault_has_its_hint() -> None:
    def only(seen: Aim, camera: bool = True) -> str:
        (hint,) = hints(seen, 48, camera)
        return hint

    assert only(aim(31)) == "faces of 31 pixels; 48 are needed: move closer or set source.width = 1280"
    assert only(aim(31), camera=False) == "faces of 31 pixels; 48 are needed: move closer"
    assert only(aim(4)) == "faces of 4 pixels; 48 are needed: move closer"  # no camera has so many pixels
    assert "2 of 3 faces" in only(aim(90, 40, 30))
    assert only(aim(90, light=30, face_light=30)).startswith("too dark: the face has 30 of 255")
    assert only(aim(90, light=190, face_light=50)).startswith("light from behind")
    assert only(aim(90, face_light=240)).startswith("too bright: the face")
    assert only(aim(90, white=0.4)).startswith("too bright: 40 % of the picture")
    assert only(aim(90, sharp=0.8)).startswith("a face is not sharp")
    assert only(aim()).startswith("no face is seen")
    assert hints(aim(light=20), 48, True)[0].startswith("too dark: the picture has 20")
    turned = hints(aim(), 48, True, turn=180, rotate=180)
    assert turned == ["the camera seems to be upside down: set source.rotate = 180"]
    assert "on its side: set source.rotate = 270" in hints(aim(), 48, True, turn=90, rotate=270)[0]


def test_a_small_face_is_not_called_blurred() -> None:
    assert len(hints(aim(31, sharp=0.5), 48, True)) == 1
