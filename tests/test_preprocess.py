"""The last part of the preprocessing: what each normalization makes of the gray levels."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import BundleError
from edge.manifest import FaceInput
from edge.preprocess import normalize

CROPS = np.arange(64, dtype=np.uint8).reshape(1, 8, 8) * 4


@pytest.mark.parametrize(
    ("name", "low", "high"), [("none", 0, 252), ("unit", 0, 252 / 255), ("signed", -1, 252 / 127.5 - 1)]
)
def test_ranges(name: str, low: float, high: float) -> None:
    faces = normalize(CROPS, FaceInput(8, 1, name))
    assert (faces.shape, faces.dtype) == ((1, 1, 8, 8), np.float32)
    assert (faces.min(), faces.max()) == pytest.approx((low, high), abs=1e-6)


def test_standardized_faces_have_no_mean_and_flat_ones_are_zero() -> None:
    faces = normalize(np.stack([CROPS[0], np.full((8, 8), 77, np.uint8)]), FaceInput(8, 1, "standardize"))
    assert float(faces[0].mean()) == pytest.approx(0, abs=1e-6)
    assert float(faces[0].std()) == pytest.approx(1, abs=1e-3)
    assert not faces[1].any()


def test_three_channels_carry_the_same_picture_but_for_imagenet() -> None:
    same = normalize(CROPS, FaceInput(8, 3, "unit"))
    assert np.array_equal(same[:, 0], same[:, 2])
    imagenet = normalize(CROPS, FaceInput(8, 3, "imagenet"))
    assert imagenet[0, 0, 0, 0] == pytest.approx(-0.485 / 0.229, abs=1e-5)
    with pytest.raises(BundleError, match=r"input\.channels is 1"):
        normalize(CROPS, FaceInput(8, 1, "imagenet"))


def test_crops_of_another_size_are_resized() -> None:
    assert normalize(np.full((2, 16, 12), 9, np.uint8), FaceInput(8, 1, "none")).shape == (2, 1, 8, 8)


RGB = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)


@pytest.mark.parametrize("name", ["none", "unit", "signed", "standardize"])
def test_colors_reach_their_channels(name: str) -> None:
    rgb = normalize(RGB, FaceInput(8, 3, name, color="rgb"))
    assert np.array_equal(normalize(RGB, FaceInput(8, 3, name, color="bgr")), rgb[:, ::-1])
    for channel in range(3):
        level = RGB[0, ..., channel].astype(np.float64)
        assert np.corrcoef(rgb[0, channel].ravel(), level.ravel())[0, 1] > 0.9999


def test_imagenet_means_stay_with_their_colors() -> None:
    """Red is normalized as red, wherever the network has it."""
    red = (RGB[..., 0] / 255 - 0.485) / 0.229
    assert normalize(RGB, FaceInput(8, 3, "imagenet", color="rgb"))[:, 0] == pytest.approx(red, abs=1e-5)
    assert normalize(RGB, FaceInput(8, 3, "imagenet", color="bgr"))[:, 2] == pytest.approx(red, abs=1e-5)


def test_a_face_in_color_is_standardized_as_a_whole() -> None:
    faces = normalize(RGB, FaceInput(8, 3, "standardize", color="rgb"))
    assert faces.mean(axis=(1, 2, 3)) == pytest.approx(0, abs=1e-6)
    assert faces.std(axis=(1, 2, 3)) == pytest.approx(1, abs=1e-5)
    flat = np.full((1, 8, 8, 3), 77, np.uint8)
    assert not normalize(flat, FaceInput(8, 3, "standardize", color="rgb")).any()


@pytest.mark.parametrize("name", ["none", "unit", "signed", "imagenet", "standardize"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_gray_in_all_channels_is_what_gray_alone_becomes(name: str, color: str) -> None:
    spec = FaceInput(8, 3, name, color=color)
    alone = normalize(CROPS, spec)
    assert normalize(np.stack([CROPS] * 3, axis=-1), spec) == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_for_gray_gets_the_luma_of_color(channels: int) -> None:
    spec = FaceInput(8, channels, "none")
    faces = normalize(RGB, spec)
    luma = RGB @ np.array([0.299, 0.587, 0.114])
    assert faces.shape == (2, channels, 8, 8)
    assert np.abs(faces[:, -1] - luma).max() <= 1
