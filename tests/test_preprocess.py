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
