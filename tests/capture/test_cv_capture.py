"""What is said of a capture's mode, and how OpenCV is silenced."""

from __future__ import annotations

import logging
import math
from types import SimpleNamespace

import cv2
import pytest

from edge.capture.cv_capture import log_level_setter, report_mode


def test_opencv_is_silenced_in_each_version() -> None:
    """A board's own OpenCV is 4.6 to 4.10, the wheels are newer."""

    def setter(level: int) -> None: ...

    old = SimpleNamespace(setLogLevel=setter, utils=SimpleNamespace())
    new = SimpleNamespace(utils=SimpleNamespace(logging=SimpleNamespace(setLogLevel=setter)))
    assert log_level_setter(old) is log_level_setter(new) is setter


class Camera:
    """What a capture says of its mode."""

    def __init__(self, codec: str, width: float, height: float, fps: float) -> None:
        number = float(int.from_bytes(codec.encode("latin-1"), "little"))
        self.mode = dict(zip(MODE, (number, width, height, fps), strict=True))

    def get(self, key: int) -> float:
        return self.mode[key]


MODE = (cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS)
MJPG = cv2.VideoWriter.fourcc(*"MJPG")


@pytest.mark.parametrize(
    ("camera", "asked", "said"),
    [
        (
            Camera("MJPG", 1280, 720, 29.97),
            (MJPG, 1280, 720, 30),
            ["MJPG, width 1280, height 720, 29.97 fps; requested MJPG, width 1280, height 720, 30 fps"],
        ),
        (
            Camera("YUYV", 640, 480, 5),
            (MJPG, 1280, None, 30.0),
            [
                "YUYV, width 640, height 480, 5 fps; requested MJPG, width 1280, 30 fps",
                "YUYV, width 640, 5 fps instead of MJPG, width 1280, 30 fps; look",
            ],
        ),
        (
            Camera("Y16 ", 160, 120, 9),
            (None, None, None, None),
            ["Y16, width 160, height 120, 9 fps; requested nothing in particular"],
        ),
        (
            Camera("\x01\0\0\0", math.nan, 480, math.inf),
            (None, 640, 480, None),
            [
                "codec 0x1, width nan, height 480, inf fps; requested width 640, height 480",
                "width nan instead of width 640; look",
            ],
        ),
    ],
)
def test_the_mode_that_a_camera_gives(
    camera: Camera, asked: tuple[float | None, ...], said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    report_mode("it", camera, dict(zip(MODE, asked, strict=True)), "look")
    assert caplog.messages == [f"it delivers {words}" for words in said]
    assert [record.levelno for record in caplog.records] == [logging.INFO, logging.WARNING][: len(said)]
