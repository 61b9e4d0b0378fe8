"""A clip plays where users open it: in a browser."""

from __future__ import annotations

from pathlib import Path

import browser
import cv2
import numpy as np
import pytest

from edge.data import Frame
from edge.sinks.video import VideoSink

pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason="apt-get install chromium")


def test_chromium_plays_a_clip_and_seeks_in_it(tmp_path: Path) -> None:
    """Of an odd size and a changing rate; each frame is a gray that tells its number."""
    stamps_s = [100 + i / 10 for i in range(20)] + [102 + i / 2 for i in range(10)]
    with VideoSink(str(tmp_path / "out.mp4")) as sink:
        for i, stamp_s in enumerate(stamps_s):
            sink.write(Frame(np.full((121, 161, 3), 8 * i, np.uint8), stamp_s, i), [])
    seen = browser.play(tmp_path / "out.mp4", 3.2, tmp_path / "profile")
    assert "error" not in seen, seen
    assert (seen["width"], seen["height"]) == (162, 122)
    assert seen["duration_s"] == pytest.approx(7.0 - 0.4, abs=0.01), "the last frame lasts a median gap"
    assert seen["at_s"] == pytest.approx(3.2, abs=0.01)
    assert seen["first_pixel"] == pytest.approx([8 * 22] * 3, abs=6), "the frame of 3.0 to 3.5 s"


def test_the_page_tells_of_a_clip_that_does_not_play(tmp_path: Path) -> None:
    """As OpenCV's: else the other test would say nothing."""
    clip = cv2.VideoWriter(str(tmp_path / "out.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (160, 120))
    for i in range(20):
        clip.write(np.full((120, 160, 3), 8 * i, np.uint8))
    clip.release()
    assert "error" in browser.play(tmp_path / "out.mp4", 1.0, tmp_path / "profile")
