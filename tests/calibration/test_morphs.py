"""What is warped between two pictures of a face: its ends are the pictures, its way is a motion."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration import morphs
from calibration.morphs import Morph

SIDE = 64


def picture(seed: int, colors: int = 0) -> np.ndarray:
    """Smooth blobs (SIDE,SIDE) or (SIDE,SIDE,colors)."""
    shape = (SIDE, SIDE, colors) if colors else (SIDE, SIDE)
    grain = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    return cv2.normalize(cv2.GaussianBlur(grain, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(0, 999), st.floats(0, 1), st.sampled_from((0, 3)))
def test_the_ends_are_the_pictures_and_nothing_leaves_their_range(a, b, strength, colors) -> None:
    neutral, expressive = picture(a, colors), picture(b, colors)
    morph = Morph(neutral, expressive)
    np.testing.assert_array_equal(morph.at(0.0), neutral)
    np.testing.assert_array_equal(morph.at(1.0), expressive)
    between = morph.at(strength)
    assert (between.shape, between.dtype) == (neutral.shape, np.uint8)
    assert min(neutral.min(), expressive.min()) <= between.min()
    assert between.max() <= max(neutral.max(), expressive.max())


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 999), st.floats(0, 1))
def test_a_face_that_does_not_move_stays(seed, strength) -> None:
    face = picture(seed)
    assert np.abs(Morph(face, face.copy()).at(strength).astype(int) - face).max() <= 1


@pytest.mark.parametrize("strength", [0.25, 0.5, 0.75])
def test_what_moves_is_on_its_way_and_not_seen_twice(strength: float) -> None:
    """A blob that moves by 8 pixels is one blob at that share of its way; a mere fade would show two."""

    def blob(x: float) -> np.ndarray:
        columns, rows = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
        return (40 + 180 * np.exp(-((columns - x) ** 2 + (rows - 32) ** 2) / 50)).astype(np.uint8)

    made = Morph(blob(28), blob(36)).at(strength).astype(float)
    wanted = blob(28 + 8 * strength).astype(float)
    faded = (1 - strength) * blob(28) + strength * blob(36)
    assert np.abs(made - wanted).mean() < 0.3 * np.abs(faded - wanted).mean()


def test_an_expression_comes_and_goes_at_known_steps() -> None:
    for seed in range(200):
        strength = morphs.course(np.random.default_rng(seed))
        assert strength.shape == (morphs.STEPS,)
        assert strength[:9].max() == strength[-1] == 0
        full = np.flatnonzero(strength == 1)
        assert len(full) >= 9
        assert (np.diff(strength[: full[0] + 1]) >= 0).all()
        assert (np.diff(strength[full[-1] :]) <= 0).all()
        assert (np.diff((strength >= 0.5).astype(int)) != 0).sum() == 2


def test_a_film_is_repeated_to_the_byte_and_has_the_size_of_the_network() -> None:
    morph = Morph(picture(1), picture(2))
    first, second = (morphs.film(morph, 48, np.random.default_rng(3)) for _ in range(2))
    assert first.crops.shape == (morphs.STEPS, 48, 48)
    np.testing.assert_array_equal(first.crops, second.crops)
    np.testing.assert_array_equal(first.expressive, first.strength >= 0.5)
