"""Each degradation does what its name says and keeps type and shape."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration import degrade

FACE = np.random.default_rng(1).integers(0, 256, (48, 48), np.uint8)
FACE = degrade.blur(FACE, 1.5)


def test_identity() -> None:
    np.testing.assert_array_equal(degrade.warp(FACE, 0, 1, (0, 0)), FACE)
    np.testing.assert_array_equal(degrade.warp(FACE, 0, 1, (0, 0), flip=True), FACE[:, ::-1])
    assert np.abs(degrade.light(FACE, 1, (0, 0)).astype(int) - FACE).max() <= 1


def test_shift_moves_right_and_down() -> None:
    moved = degrade.warp(FACE, 0, 1, (0.25, 0.5))
    np.testing.assert_array_equal(moved[24:, 12:], FACE[:24, :36])


def test_narrowing_keeps_the_middle_and_the_height() -> None:
    ramp = np.tile(np.arange(48, dtype=np.uint8) * 5, (48, 1))
    half = degrade.warp(ramp, 0, 1, (0, 0), narrow=0.5)[24].astype(int)
    assert half[23] == pytest.approx(ramp[0, 22], abs=4)
    assert np.diff(half[13:35]) == pytest.approx(10, abs=1)
    assert (half[:11] == 0).all(), "the edge goes on where the picture has ended"
    upright = degrade.warp(ramp.T.copy(), 0, 1, (0, 0), narrow=0.5)
    np.testing.assert_array_equal(upright[:, 24], ramp[0])


def test_effects_have_their_sign() -> None:
    assert degrade.light(FACE, 2.0, (0, 0)).mean() < FACE.mean(), "gamma above one darkens"
    detail = [np.abs(np.diff(img.astype(float))).mean() for img in (FACE, degrade.blur(FACE, 2))]
    assert detail[1] < detail[0]
    assert np.abs(np.diff(degrade.shrink(FACE, 12).astype(float))).mean() < detail[0]
    rng = np.random.default_rng(0)
    assert 4 < (degrade.noise(np.full((48, 48), 128, np.uint8), 5, rng).astype(float)).std() < 6
    assert (degrade.occlude(FACE, (0, 0, 0.5, 1), 7)[:, :24] == 7).all()
    assert (degrade.compress(FACE, 5) != FACE).any()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_augment_is_repeatable_and_keeps_the_shape(seed: int) -> None:
    one = degrade.augment(FACE, np.random.default_rng(seed))
    assert one.shape == FACE.shape
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, degrade.augment(FACE, np.random.default_rng(seed)))


def test_no_face_keeps_the_form_and_loses_the_face() -> None:
    rng = np.random.default_rng(0)
    likeness = []
    for _ in range(100):
        picture = degrade.no_face(FACE, rng)
        assert picture.shape == FACE.shape
        assert picture.dtype == np.uint8
        likeness.append(np.corrcoef(picture.ravel(), FACE.ravel() + rng.normal(0, 1e-3, FACE.size))[0, 1])
    assert np.nanmax(np.abs(likeness)) < 0.6
