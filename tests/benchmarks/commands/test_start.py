"""The startup benchmark: peak memory and the description of the clip."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmarks.commands import start


def test_a_peak_that_cannot_be_read_is_not_zero() -> None:
    assert start.largest([None, 3.0, None, 5.0]) == 5.0
    assert start.largest([None, None]) is None
    assert start._peak_mb(2**22 + 1) is None


def test_start_says_what_it_started_on(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (320, 240))
    for _ in range(3):
        writer.write(np.zeros((240, 320, 3), np.uint8))
    writer.release()
    assert start._describe(path) == "on a 320x240 MJPG file"
