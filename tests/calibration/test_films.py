"""Films: the truth of every step, repeatable; mouths that move and nothing else; faces that go."""

from itertools import pairwise

import numpy as np
import pytest
from drawn_faces import drawn_faces
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration import films, negatives, speech, textures
from calibration.sequences import SequenceRecipe, generate

pytest.importorskip("skimage")  # its photographs stand behind the faces
IMAGES, LABELS = drawn_faces()
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("kind", films.MAKES)
@settings(max_examples=12, deadline=None)
@given(seed=SEEDS, steps=st.integers(24, 70))
def test_a_film_has_a_truth_for_every_step_and_repeats(kind: str, seed: int, steps: int) -> None:
    film, again = (
        films.MAKES[kind](IMAGES, LABELS, np.random.default_rng(seed), steps, "development") for _ in range(2)
    )
    assert film.crops.shape == (steps, 48, 48)
    assert film.crops.dtype == np.uint8
    assert film.still.shape == film.share.shape == (steps,)
    assert (LABELS[film.still] >= 0).all()
    assert ((film.share >= 0) & (film.share <= 1)).all()
    np.testing.assert_array_equal(film.crops, again.crops)
    np.testing.assert_array_equal(film.share, again.share)


def test_plain_films_are_those_of_the_training_generator() -> None:
    film = films.plain(IMAGES, LABELS, np.random.default_rng(3), 40, "development")
    made = generate(IMAGES, LABELS, np.random.default_rng(3), SequenceRecipe(steps=40))
    np.testing.assert_array_equal(film.crops, made.crops)
    assert film.has_face.all()


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS, side=st.sampled_from((24, 48, 64, 112)), opening=st.floats(-0.25, 1), spread=st.floats(-1, 1)
)
def test_a_moved_mouth_leaves_the_rest_of_the_face(
    seed: int, side: int, opening: float, spread: float
) -> None:
    face = np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)
    moved = speech.move_mouth(face, speech.Mouth(opening, spread))
    x0, y0, x1, y1 = (round(share * side) for share in speech.REGION)
    outside = np.ones((side, side), bool)
    outside[y0:y1, x0:x1] = False
    np.testing.assert_array_equal(moved[outside], face[outside])


def test_a_closed_mouth_is_the_still_and_an_open_one_is_dark_inside() -> None:
    for face in IMAGES:
        lips = speech.lips_at(face)
        np.testing.assert_array_equal(speech.move_mouth(face, speech.Mouth(0, 0)), face)
        wide = speech.move_mouth(face, speech.Mouth(1, 0))
        below = slice(round(lips), round(lips + 0.05 * 48)), slice(22, 27)
        assert wide[below].mean() < face[below].mean() - 10
        assert abs(lips / 48 - 0.74) < 0.09, "the drawn mouth was not found"


def test_speech_has_syllables_and_pauses() -> None:
    mouths = speech.talk(20_000, 100.0, np.random.default_rng(0))
    opening = np.array([mouth.opening for mouth in mouths])
    peaks = (opening[1:-1] > 0.1) & (opening[1:-1] > opening[:-2]) & (opening[1:-1] >= opening[2:])
    assert 2.0 < peaks.sum() / 200 < 5.0, "syllables a second, pauses included"
    assert 0.2 < (opening == 0).mean() < 0.6, "pauses"
    assert opening.max() <= 1
    assert opening.min() >= -0.25


@pytest.mark.parametrize("kind", negatives.LOSSES)
@settings(max_examples=12, deadline=None)
@given(seed=SEEDS)
def test_a_lost_face_begins_as_it_is_and_is_gone_in_the_end(kind: str, seed: int) -> None:
    face = IMAGES[seed % len(IMAGES)]
    lose = negatives.LOSSES[kind](48, np.random.default_rng(seed), "development")
    seen = [lose(face, float(stage)) for stage in np.linspace(0, 1, 11)]
    assert seen[0].share == 1
    np.testing.assert_array_equal(seen[0].frame, face)
    assert seen[-1].share <= negatives.GONE
    shares = [one.share for one in seen]
    assert all(a >= b - 0.02 for a, b in pairwise(shares)), shares
    here = face.astype(float)[12:40, 12:36].ravel()
    left = seen[-1].frame.astype(float)[12:40, 12:36].ravel()
    assert left.std() < 1e-6 or abs(np.corrcoef(here, left)[0, 1]) < 0.9, "the face is still there"


def test_interrupted_films_lose_the_face_for_a_while() -> None:
    made = [
        films.interrupted(IMAGES, LABELS, np.random.default_rng(seed), 64, "development")
        for seed in range(60)
    ]
    assert 0.15 < np.mean([film.gone.mean() for film in made]) < 0.45
    assert all(film.has_face[:6].all() for film in made), "each begins with a face"
    assert all(film.has_face[-2:].all() for film in made), "each ends with one"


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, steps=st.integers(1, 400))
def test_the_faceless_stream_has_as_many_steps_without_a_face(seed: int, steps: int) -> None:
    made = list(films.faceless(IMAGES, LABELS, np.random.default_rng(seed), steps, "judging"))
    gone = [int(film.gone.sum()) for film in made]
    assert sum(gone) >= steps
    assert sum(gone[:-1]) < steps, "it went on too long"
    for film in made:
        if film.still[0] == films.NOBODY:
            assert film.gone.all()
        else:
            assert film.has_face[:8].all()
            assert film.gone[-15:].all(), "it came back"


def test_photographs_of_the_parts_are_apart() -> None:
    names = [name for part in textures.PHOTOGRAPHS.values() for name in part]
    assert len(names) == len(set(names))
    assert all(len(textures.photographs(part)) == len(names) for part, names in textures.PHOTOGRAPHS.items())
