"""Broken frames are named, good ones never: on noise that stands for a sensor, and on the demo's scene."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge.capture.demo import DemoSource
from edge.capture.reconnect.frame_checks import BELIEVED, BadFrames
from edge.data import Frame

RNG = np.random.default_rng(3)


def scene(at: int, height: int = 240, width: int = 320) -> np.ndarray:
    """A picture with soft light, an object that moves, and a sensor's noise."""
    y, x = np.mgrid[0:height, 0:width]
    light = 90 + 60 * np.sin(x / 70 + at / 20) * np.cos(y / 50)
    light[60:160, (40 + 3 * at) % 200 : (40 + 3 * at) % 200 + 80] += 50
    return np.clip(light + RNG.normal(0, 3, light.shape), 0, 255).astype(np.uint8)


def after_good_ones(image: np.ndarray, good: int = 5) -> str | None:
    checks = BadFrames()
    for at in range(good):
        assert checks.fault(Frame(scene(at), at / 15, at)) is None
    return checks.fault(Frame(image, good / 15, good))


def cut(image: np.ndarray, rest: int, value: int) -> np.ndarray:
    out = image.copy()
    out[-rest:] = value
    return out


def seam(at: int) -> np.ndarray:
    """The upper part of a bright picture on the lower part of a dark one."""
    out = scene(at)
    out[:120] = np.clip(out[:120].astype(int) + 70, 0, 255)
    out[120:] = np.clip(out[120:].astype(int) - 60, 0, 255)
    return out


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("black", np.zeros((240, 320), np.uint8)),
        ("black", RNG.integers(0, 16, (240, 320), dtype=np.uint8)),
        ("blank", np.full((240, 320), 128, np.uint8)),
        ("torn", cut(scene(5), 40, 128)),
        ("torn", cut(scene(5), 200, 0)),
        ("torn", seam(5)),
        ("wrong size", scene(5, 480, 640)),
        ("malformed", scene(5).astype(np.float32)),
        ("malformed", np.full((240, 320), np.nan, np.float32)),
        ("malformed", np.zeros((240, 320, 4), np.uint8)),
        ("malformed", np.zeros((0, 0), np.uint8)),
        ("malformed", np.zeros((5, 320), np.uint8)),
    ],
)
def test_each_fault_has_its_name(name: str, image: np.ndarray) -> None:
    assert after_good_ones(image) == name


def test_a_frozen_picture_is_named_within_three_seconds_and_forgiven_when_it_moves() -> None:
    checks, still = BadFrames(), scene(0)
    faults = [checks.fault(Frame(still, at / 15, at)) for at in range(60)]
    assert faults.index("frozen") / 15 <= 3.0
    assert set(faults[faults.index("frozen") :]) == {"frozen"}
    assert checks.fault(Frame(scene(61), 61 / 15, 61)) is None


def test_good_frames_follow_every_fault() -> None:
    checks = BadFrames()
    broken = [np.zeros((240, 320), np.uint8), cut(scene(1), 50, 128), scene(1, 480, 640), seam(1)]
    for at in range(60):
        image = broken[at // 10 % 4] if at % 10 == 9 else scene(at)
        fault = checks.fault(Frame(image, at / 15, at))
        if at % 10 != 9:
            assert fault is None or at % 10 == 0, f"frame {at} is good and was called {fault}"
        else:
            assert fault is not None


def test_a_letterbox_and_a_new_size_are_believed_in_time() -> None:
    checks = BadFrames()
    assert all(checks.fault(Frame(cut(scene(at), 40, 0), at / 15, at)) is None for at in range(20))
    faults = [checks.fault(Frame(scene(at, 480, 640), 2 + at / 15, at)) for at in range(40)]
    assert faults[0] == "wrong size"
    assert faults[-1] is None
    faults = [checks.fault(Frame(cut(scene(at, 480, 640), 80, 0), 9 + at / 15, at)) for at in range(40)]
    assert faults[0] == "torn"
    assert faults[-1] is None


def test_a_lasting_tear_is_named_each_time_until_it_is_believed() -> None:
    checks = BadFrames()
    for at in range(5):
        assert checks.fault(Frame(scene(at), at / 15, at)) is None
    faults = [checks.fault(Frame(seam(at), at / 15, at)) for at in range(5, 5 + BELIEVED + 8)]
    assert faults == ["torn"] * BELIEVED + [None] * 8


def test_a_tear_between_good_frames_is_named_each_time() -> None:
    checks = BadFrames()
    faults = [checks.fault(Frame(seam(at) if at % 3 == 2 else scene(at), at / 15, at)) for at in range(90)]
    assert faults == [None, None, "torn"] * 30


@pytest.mark.parametrize("size", [(240, 320), (480, 640), (1080, 1920), (1088, 608)])
def test_tears_are_seen_at_every_size(size: tuple[int, int]) -> None:
    checks = BadFrames()
    for at in range(3):
        assert checks.fault(Frame(scene(at, *size), at / 15, at)) is None
    torn = scene(3, *size).astype(int)
    torn[: size[0] // 2] += 70
    torn[size[0] // 2 :] -= 60
    cases = [np.clip(torn, 0, 255).astype(np.uint8), cut(scene(3, *size), size[0] // 6, 128)]
    assert [checks.fault(Frame(image, 0.2, 3)) for image in cases] == ["torn", "torn"]


def test_the_dark_leaves_no_tear_behind() -> None:
    """The first picture after it has edges that a black one has not."""
    checks, edge = BadFrames(), scene(0).astype(int)
    edge[120:] -= 60
    dark = np.zeros((240, 320), np.uint8)

    def lit() -> np.ndarray:
        return np.clip(edge + RNG.normal(0, 2, edge.shape), 0, 255).astype(np.uint8)

    faults = [checks.fault(Frame(dark if 5 <= at < 8 else lit(), at / 15, at)) for at in range(12)]
    assert faults == [None] * 5 + ["black"] * 3 + [None] * 4


def test_the_scene_of_the_demo_has_no_fault() -> None:
    pytest.importorskip("skimage")
    checks = BadFrames()
    assert not [checks.fault(frame) for frame in islice(DemoSource().frames(), 120) if checks.fault(frame)]


DTYPES = st.sampled_from([np.uint8, np.uint16, np.int16, np.float32, np.float64, np.bool_])
SHAPES = st.lists(st.integers(0, 40), min_size=0, max_size=4).map(tuple)


@settings(max_examples=300, deadline=None)
@given(st.lists(arrays.arrays(DTYPES, SHAPES), min_size=1, max_size=4))
def test_nothing_breaks_it(images: list[np.ndarray]) -> None:
    checks = BadFrames()
    for at, image in enumerate(images):
        fault = checks.fault(Frame(image, at / 15, at))
        usable = image.dtype == np.uint8 and image.ndim in (2, 3) and min(image.shape[:2]) >= 16
        if not usable or (image.ndim == 3 and image.shape[2] != 3):
            assert fault == "malformed"
