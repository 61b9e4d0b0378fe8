"""Whole frames: faces where the truth says, cuts that change everything, events that change nobody."""

import numpy as np
import pytest
from drawn_faces import drawn_faces
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration import crowds, cuts, empties, scenes

pytest.importorskip("skimage")  # its photographs stand behind the faces
IMAGES, _ = drawn_faces()
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("kind", cuts.KINDS)
@settings(max_examples=3, deadline=None)
@given(seed=SEEDS)
def test_a_clip_has_its_truth_and_repeats(kind: str, seed: int) -> None:
    one, again = (cuts.clip(kind, IMAGES, np.random.default_rng(seed), "development", 50) for _ in range(2))
    assert one.frames.shape == (50, 240, 320)
    assert one.frames.dtype == np.uint8
    assert len(one.boxes) == len(one.share) == len(one.event) == 50
    np.testing.assert_array_equal(one.frames, again.frames)
    assert (np.diff(one.share) >= 0).all()
    if kind in cuts.ENDS:
        assert one.share[0] == 0
        assert one.changed_at is not None
        assert not one.event.any()
        mixed = ((one.share > 0) & (one.share < 1)).sum()
        assert mixed == 0 if kind == "cut" else 7 <= mixed <= 25
    else:
        assert one.changed_at is None
        assert one.event.any()
        assert not one.event[:15].any()


def test_a_head_stands_where_its_square_says() -> None:
    face = IMAGES[5]
    for side in (24, 48, 96):
        frame = np.full((480, 640), 90, np.uint8)
        box = scenes.paste(frame, scenes.head(face, side, np.random.default_rng(0)), 200, 150)
        assert box == (200, 150, 200 + side, 150 + side)
        found = frame[150 : 150 + side, 200 : 200 + side].astype(float)
        inner = slice(side // 5, -side // 5)
        want = np.asarray(scenes.cv2.resize(face, (side, side), interpolation=scenes.cv2.INTER_LINEAR), float)
        assert np.corrcoef(found[inner, inner].ravel(), want[inner, inner].ravel())[0, 1] > 0.95


def test_a_flash_is_over_and_an_exposure_step_stays() -> None:
    for seed in range(8):
        flash = cuts.clip("flash", IMAGES, np.random.default_rng(seed), "development").frames.mean(
            axis=(1, 2)
        )
        exposure = cuts.clip("exposure", IMAGES, np.random.default_rng(seed), "development").frames.mean(
            (1, 2)
        )
        assert flash.max() > flash[:20].mean() + 10
        assert flash[-10:].mean() == pytest.approx(flash[:10].mean(), abs=25)
        assert abs(exposure[-10:].mean() - exposure[:10].mean()) > 8


@settings(max_examples=3, deadline=None)
@given(seed=SEEDS)
def test_a_crowd_has_four_to_twelve_faces_that_do_not_overlap(seed: int) -> None:
    made = crowds.crowd(IMAGES, np.random.default_rng(seed), "development")
    assert made.frame.shape == (1080, 1920)
    assert 3 <= len(made.boxes) <= 12
    sides = made.boxes[:, 2] - made.boxes[:, 0]
    assert set(sides) <= set(crowds.SIDES)
    assert (made.boxes[:, :2] >= 0).all()
    assert (made.boxes[:, 2:] <= (1920, 1080)).all()
    for k, a in enumerate(made.boxes):
        for b in made.boxes[k + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_uncut_and_empty_videos_are_as_long_as_they_should_be() -> None:
    uncut = list(cuts.uncut(IMAGES, np.random.default_rng(1), "development", 30))
    assert sum(len(one.frames) for one in uncut) == 30 * cuts.FPS
    assert all(one.changed_at is None for one in uncut)
    empty = list(empties.empty(IMAGES, np.random.default_rng(1), "development", 20))
    assert sum(map(len, empty)) == 20 * empties.FPS
