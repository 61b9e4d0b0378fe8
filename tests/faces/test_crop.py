"""The crop: what may not change it does not, what may it does."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.data import Face, Frame
from edge.errors import BundleError
from edge.faces.crop import crop_faces, face_batch
from edge.faces.square import eye_roll, square
from edge.manifest import CropGeometry, FaceInput

SIZE = 48
WIDTH, HEIGHT = 320, 240


def manifest(**crop: Any) -> FaceInput:
    return FaceInput(SIZE, 1, "standardize", CropGeometry(**crop))


def picture(seed: int = 0) -> np.ndarray:
    """Smooth color noise: it has structure at the scale of a face and no edge that rounding can flip."""
    small = np.random.default_rng(seed).integers(0, 256, (15, 20, 3), np.uint8)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def face(cx: float = 160, cy: float = 120, side: float = 100, roll: float = 0.0) -> Face:
    eyes = np.array([[-0.18, -0.11], [0.18, -0.11], [0, 0.05], [-0.14, 0.24], [0.14, 0.24]]) * side
    turn = np.array([[math.cos(roll), math.sin(roll)], [-math.sin(roll), math.cos(roll)]])
    return Face(square(cx, cy, side), 0.9, (eyes @ turn + (cx, cy)).astype(np.float32))


def differ(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(np.float32) - b).mean())


def test_shapes_and_types() -> None:
    frame = Frame(picture(), 0.0, 0)
    spec = FaceInput(SIZE, 3, "standardize")
    assert crop_faces(frame, [face(), face(40)], spec).shape == (2, SIZE, SIZE)
    batch = face_batch(frame, [face(), face(40)], spec)
    assert (batch.shape, batch.dtype) == ((2, 3, SIZE, SIZE), np.float32)
    empty = face_batch(frame, [], spec)
    assert (empty.shape, empty.dtype) == ((0, 3, SIZE, SIZE), np.float32)


@pytest.mark.parametrize("times", [1, 2, 4])
def test_an_upright_crop_on_whole_pixels_is_the_area_mean(times: int) -> None:
    gray = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    side = SIZE * times
    (crop,) = crop_faces(Frame(gray, 0.0, 0), [Face(square(160, 120, side), 1.0)], manifest())
    x, y = 160 - side // 2, 120 - side // 2
    expected = cv2.resize(gray[y : y + side, x : x + side], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    assert np.array_equal(crop, expected)


def test_a_large_face_does_not_alias() -> None:
    board = (np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2 * 255).astype(np.uint8)
    (crop,) = crop_faces(Frame(board, 0.0, 0), [Face(square(160, 120, 180), 1.0)], manifest())
    # The mean of a checkerboard is 127.5; plain bilinear sampling would give stripes of 0 and 255.
    assert crop.std() < 20


@settings(max_examples=30, deadline=None)
@given(st.floats(-50, 370), st.floats(-50, 290), st.floats(10, 300), st.floats(-0.7, 0.7))
def test_a_strided_view_gives_the_same_crop(cx: float, cy: float, side: float, roll: float) -> None:
    image, who = picture(), [face(cx, cy, side, roll)]
    padded = np.zeros((HEIGHT, WIDTH + 33, 3), np.uint8)
    padded[:, :WIDTH] = image
    flipped = np.ascontiguousarray(image[:, ::-1])[:, ::-1]
    expected = crop_faces(Frame(image, 0.0, 0), who, manifest())
    for view in (padded[:, :WIDTH], flipped):
        assert np.array_equal(crop_faces(Frame(view, 0.0, 0), who, manifest()), expected)


@settings(max_examples=30, deadline=None)
@given(st.floats(-40, 360), st.floats(-40, 280), st.floats(20, 200))
def test_the_border_is_repeated(cx: float, cy: float, side: float) -> None:
    image, pad = picture(), 300
    wide = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    small = crop_faces(Frame(image, 0.0, 0), [face(cx, cy, side)], manifest())
    large = crop_faces(Frame(wide, 0.0, 0), [face(cx + pad, cy + pad, side)], manifest())
    # float32 boxes and OpenCV's 1/32 px grid round the two positions differently.
    assert differ(small, large) < 1.5


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.75, 0.75))
def test_a_turned_picture_gives_nearly_the_same_crop(roll: float) -> None:
    image = picture()
    turn = cv2.getRotationMatrix2D((159.5, 119.5), -math.degrees(roll), 1.0)
    turned = cv2.warpAffine(image, turn, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    upright = crop_faces(Frame(image, 0.0, 0), [face()], manifest())
    level = crop_faces(Frame(turned, 0.0, 0), [face(roll=roll)], manifest())
    assert differ(upright, level) < 2.5  # two interpolations of 256 gray levels
    if abs(roll) > 0.2:
        left = crop_faces(Frame(turned, 0.0, 0), [face(roll=roll)], manifest(align="none"))
        assert differ(upright, left) > 5, "align none turned the crop"


def test_color_and_luma_agree() -> None:
    image = picture()
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    limited = np.rint(gray * (219 / 255) + 16).astype(np.uint8)
    who = [face(roll=0.2)]
    color = crop_faces(Frame(image, 0.0, 0), who, manifest())
    assert differ(crop_faces(Frame(gray, 0.0, 0), who, manifest()), color) < 1
    assert differ(crop_faces(Frame(limited, 0.0, 0, "limited"), who, manifest()), color) < 1.5
    assert differ(crop_faces(Frame(limited, 0.0, 0, "full"), who, manifest()), color) > 3


def test_scale_widens_the_crop() -> None:
    frame = Frame(picture(), 0.0, 0)
    wide = crop_faces(frame, [face(side=100)], manifest(scale=1.5))
    assert np.array_equal(wide, crop_faces(frame, [face(side=150)], manifest()))


@pytest.mark.parametrize(
    "box",
    [
        (np.nan, 0, 10, 10),
        (0, 0, np.inf, 10),
        (0, np.nan, 10, 10),
        (5, 5, 5, 5),
        (9, 9, 1, 1),
        (0, 0, 1e9, 1e9),
    ],
)
def test_a_degenerate_box_gives_flat_gray(box: tuple[float, ...]) -> None:
    bad = Face(np.array(box, np.float32), 0.5, np.full((5, 2), np.nan, np.float32))
    frame = Frame(picture(), 0.0, 0)
    crops = crop_faces(frame, [bad, face()], manifest())
    assert (crops[0] == 128).all()
    assert crops[1].std() > 5
    assert (face_batch(frame, [bad], manifest()) == 0).all()


@pytest.mark.parametrize("center", [(-5000, 10), (10, 9000), (100000, 100000)])
def test_a_face_outside_the_frame_repeats_its_border(center: tuple[float, float]) -> None:
    frame = Frame(np.full((HEIGHT, WIDTH), 77, np.uint8), 0.0, 0)
    crops = crop_faces(frame, [Face(square(*center, 50), 0.5)], manifest())
    assert (crops == 77).all()


def test_rolls_that_cannot_be_believed_are_none() -> None:
    assert eye_roll(face(roll=0.5).landmarks, 100) == pytest.approx(0.5, abs=1e-5)
    assert eye_roll(None, 100) == 0
    assert eye_roll(face(roll=1.0).landmarks, 100) == 0, "57 degrees"
    assert eye_roll(face(side=100, roll=0.5).landmarks, 1000) == 0, "eyes of a profile"
    assert eye_roll(np.full((5, 2), np.nan, np.float32), 100) == 0


@pytest.mark.parametrize(("crop", "said"), [({"align": "nose"}, "'nose'"), ({"scale": 0.0}, "0.0")])
def test_a_wrong_geometry_is_named(crop: dict[str, Any], said: str) -> None:
    with pytest.raises(BundleError, match=said):
        crop_faces(Frame(picture(), 0.0, 0), [], manifest(**crop))


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("align", ["eyes", "none"])
def test_a_crop_in_color_is_that_of_each_color(order: str, align: str) -> None:
    """Geometry, antialiasing and border are those of a gray crop, in each channel, whatever the order."""
    image, who = picture(), [face(roll=0.3), face(20, 30, 150), face(160, 120, 210)]
    spec = FaceInput(SIZE, 3, "unit", CropGeometry(align=align), order)
    crops = crop_faces(Frame(image, 0.0, 0), who, spec)
    assert crops.shape == (3, SIZE, SIZE, 3)
    for channel, of_image in enumerate((2, 1, 0)):
        alone = crop_faces(Frame(image[..., of_image], 0.0, 0), who, manifest(align=align))
        assert np.abs(crops[..., channel].astype(int) - alone).max() <= 1


@pytest.mark.parametrize("luma_range", ["full", "limited"])
def test_luma_fills_every_channel_of_a_crop_in_color(luma_range: Any) -> None:
    frame = Frame(cv2.cvtColor(picture(), cv2.COLOR_BGR2GRAY), 0.0, 0, luma_range)
    (crop,) = crop_faces(frame, [face()], FaceInput(SIZE, 3, "unit", color="rgb"))
    (gray,) = crop_faces(frame, [face()], manifest())
    assert (crop == gray[..., None]).all()
    bad = Face(np.array([5, 5, 5, 5], np.float32))
    assert (crop_faces(frame, [bad], FaceInput(SIZE, 3, "unit", color="bgr")) == 128).all()
