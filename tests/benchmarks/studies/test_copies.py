"""Copies per frame: luma takes less than color, and the check itself sees what it has to see."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest

from benchmarks.studies import copies
from edge import config_file

PLANE = copies.WIDTH * copies.HEIGHT


def test_a_view_with_gaps_is_copied_and_one_with_long_rows_is_not() -> None:
    """What OpenCV takes in beside its result of 1,000 bytes: a plane for YUYV's luma, nothing for NV12's."""
    for name, copied in (("YUYV as luma", PLANE), ("NV12 as luma", 0)):
        raw, picture = copies.cameras()[name]
        taken = copies.peak(partial(cv2.resize, picture(raw), (40, 25)))
        assert taken == pytest.approx(copied + 1000, abs=2000), f"{name}: objects of Python stay below 2,000"
    rows = np.zeros((copies.HEIGHT, copies.WIDTH + 64), np.uint8)[:, : copies.WIDTH]
    assert copies.peak(lambda: cv2.resize(rows, (40, 25))) < 3000


def test_luma_takes_less_than_color() -> None:
    table = copies.measure(config_file.load(None, ["bundle.precision=fp32", "detector.kind=haar"]))
    for camera in ("MJPG", "YUYV", "NV12"):
        color, gray = table[f"{camera} as BGR"], table[f"{camera} as luma"]
        assert gray[0] == color[0], "the same is sent"
        assert color[1] >= 3 * PLANE
        assert gray[1] <= PLANE + 2000, "at most the one plane, which a decoded JPEG is"
        assert gray[3] < color[3]
