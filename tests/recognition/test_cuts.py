"""A cut and a fade end what was; flashes, exposure, moving cameras and passers-by do not."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.data import Frame
from edge.recognition.cuts import CutFinder
from edge.recognition.thumbnails import correlation, explained, kept, thumbnail, unmoved

Picture = npt.NDArray[np.uint8]
HIGH, WIDE, FPS = 240, 320, 25.0


def room(seed: int, light: float = 1.0) -> npt.NDArray[np.float32]:
    """A wall with boxes on it, larger than a frame so that a camera can move."""
    rng = np.random.default_rng(seed)
    wall = np.full((HIGH + 120, WIDE + 160), rng.uniform(60, 150), np.float32)
    for _ in range(60):
        x, y = rng.integers(0, wall.shape[1] - 20), rng.integers(0, wall.shape[0] - 20)
        w, h = rng.integers(15, 90, 2)
        wall[y : y + h, x : x + w] = rng.uniform(20, 220)
    return light * wall


def at(wall: npt.NDArray[np.float32], x: float = 60, y: float = 40, gain: float = 1.0) -> Picture:
    return np.clip(gain * wall[int(y) : int(y) + HIGH, int(x) : int(x) + WIDE], 0, 255).astype(np.uint8)


def cuts(pictures: list[Picture], fps: float = FPS) -> list[int]:
    finder = CutFinder()
    verdicts = [finder.look(Frame(picture, n / fps, n)) for n, picture in enumerate(pictures)]
    return [n for n, verdict in enumerate(verdicts) if verdict == "cut"]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("fps", [1.0, 10.0, 25.0, 60.0])
def test_a_cut_is_found_on_its_frame(seed: int, fps: float) -> None:
    one, other = at(room(seed)), at(room(seed + 100))
    other = np.clip(other + one.mean() - other.mean(), 0, 255).astype(np.uint8)  # in the same light
    assert cuts([one] * 20 + [other] * 20, fps) == [20]
    assert cuts([cv2.cvtColor(p, cv2.COLOR_GRAY2BGR) for p in [one] * 20 + [other] * 20], fps) == [20]


@pytest.mark.parametrize("seed", range(6))
def test_much_that_changes_at_once_before_the_same_wall_leaves_a_doubt(seed: int) -> None:
    one, other = at(room(seed)), at(room(seed + 100))
    mixed = one.copy()
    mixed[:, : WIDE // 5 * 3] = other[:, : WIDE // 5 * 3]
    finder = CutFinder()
    seen = [finder.look(Frame(p, n / FPS, n)) for n, p in enumerate([one] * 10 + [mixed] * 10)]
    assert seen == ["same"] * 10 + ["doubt"] + ["same"] * 9
    moving = [finder.look(Frame(at(room(seed), 60 + 2 * n), 1 + n / FPS, n)) for n in range(10)]
    assert "doubt" not in moving[1:], "nobody is in doubt while a camera moves"


def test_a_cut_to_another_light_takes_as_long_as_a_flash_may_last() -> None:
    one, other = at(room(1)), at(room(2), gain=2.5)
    finder = CutFinder()
    seen = [finder.look(Frame(p, n / FPS, n)) for n, p in enumerate([one] * 10 + [other] * 20)]
    assert seen[10] == "unsure"
    assert seen.count("cut") == 1
    assert seen.index("cut") <= 10 + 0.4 * FPS


@pytest.mark.parametrize("seconds", [0.3, 0.6, 1.0])
def test_a_fade_is_found_once_it_is_over(seconds: float) -> None:
    one, other, length = at(room(3)), at(room(4)), round(seconds * FPS)
    mixed = [cv2.addWeighted(one, 1 - k / length, other, k / length, 0) for k in range(1, length)]
    found = cuts([one] * 40 + mixed + [other] * 40)
    assert found
    assert all(40 < n <= 40 + length + 12 for n in found)


@pytest.mark.parametrize("gain", [0.4, 0.6, 1.6, 2.5])
@pytest.mark.parametrize("frames", [1, 3, 30])
def test_flashes_and_exposure_are_no_cuts(gain: float, frames: int) -> None:
    wall = room(5)
    lit = [at(wall, gain=gain)] * frames
    assert cuts([at(wall)] * 20 + lit + [at(wall)] * 20) == []


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.floats(-12, 12), st.floats(-6, 6))
def test_a_moving_camera_is_no_cut(seed: int, across: float, down: float) -> None:
    wall = room(seed)
    path = [(np.clip(60 + n * across, 0, 159), np.clip(40 + n * down, 0, 119)) for n in range(12)]
    assert cuts([at(wall)] * 5 + [at(wall, x, y) for x, y in path]) == []


@pytest.mark.parametrize("sigma", [2, 3, 12])
@pytest.mark.parametrize("speed", [0.1, 0.2, 0.4, 1.5])
def test_a_slow_move_is_no_fade(sigma: float, speed: float) -> None:
    """By parts of a cell of the thumbnail, so that each picture is a mixture of its neighbors."""
    grain = np.random.default_rng(1).standard_normal((HIGH + 120, WIDE + 160)).astype(np.float32)
    wall = cv2.GaussianBlur(grain, (0, 0), sigma)
    wall = 120 + 30 * wall / wall.std()
    moves = [np.float32([[1, 0, -min(20 + n * speed, 159)], [0, 1, -30]]) for n in range(120)]
    assert cuts([cv2.warpAffine(wall, move, (WIDE, HIGH)).astype(np.uint8) for move in moves]) == []


def test_a_passer_by_is_no_cut() -> None:
    wall, frames = at(room(6)), []
    coat = np.random.default_rng(0).uniform(30, 90, (HIGH, 180)).astype(np.uint8)
    for n in range(30):
        picture, left = wall.copy(), -180 + n * 25
        x0, x1 = max(left, 0), min(left + 180, WIDE)
        if x1 > x0:
            picture[:, x0:x1] = coat[:, x0 - left : x1 - left]
        frames.append(picture)
    assert cuts([wall] * 10 + frames + [wall] * 10) == []


def test_jumps_in_time_and_flat_pictures_are_no_fault() -> None:
    finder, black, wall = CutFinder(), np.zeros((HIGH, WIDE), np.uint8), at(room(7))
    for n, time_s in enumerate((5.0, 5.04, 1.0, 1.0, 900.0, 0.0)):
        assert finder.look(Frame(wall, time_s, n)) == "same"
    assert cuts([black] * 30) == []
    assert cuts([np.zeros((3, 2), np.uint8)] * 3) == []


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0.3, 3))
def test_measures_stay_within_their_bounds(seed: int, gain: float) -> None:
    a, b = thumbnail(at(room(seed))), thumbnail(at(room(seed + 1), gain=gain))
    for value in (kept(a, b), unmoved(a, b), explained(a, b)):
        assert 0 <= value <= 1 + 1e-6
    assert -1 - 1e-6 <= correlation(a, b) <= 1 + 1e-6
    assert kept(a, a) == unmoved(a, a) == 1


@pytest.mark.parametrize("fps", [0.8, 1.0, 1.2, 1.5, 3.0])
def test_a_cut_to_another_light_is_found_in_a_slow_source(fps: float) -> None:
    one, other = at(room(1)), at(room(2), gain=2.5)
    assert cuts([one] * 5 + [other] * 5, fps) == [6]
    assert cuts([one] * 5 + [at(room(1), gain=2.5)] + [one] * 5, fps) == []


def test_where_time_stands_still_memory_does_not_grow() -> None:
    finder = CutFinder()
    for n in range(600):
        finder.look(Frame(at(room(3)), 1.0, n))
    assert len(finder._past) <= 256
