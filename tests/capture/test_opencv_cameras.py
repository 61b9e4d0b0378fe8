"""Cameras through OpenCV: their names, and a V4L2 driver in C for frames, silence and padding."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from v4l2_camera import with_camera

from edge.capture import opencv
from edge.capture.addresses import is_camera
from edge.capture.opencv import OpenCVSource
from edge.capture.sources import open_source
from edge.config import SourceConfig
from edge.errors import SourceError


def test_absent_camera_names_the_ones_there_are() -> None:
    for address in ("/dev/video97", "97"):
        with pytest.raises(SourceError, match=r"/dev/video97 does not exist; (use one of: /dev/video|plug)"):
            OpenCVSource(address)


def test_what_counts_as_a_camera() -> None:
    links = (
        "/dev/v4l/by-id/usb-Cam_1-video-index0",
        "/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0",
    )
    assert all(is_camera(address) for address in ("0", "12", "/dev/video0", *links))
    assert not any(
        is_camera(address) for address in ("0.mp4", "video0", "²", "", "-1", "/dev/v4l", "by-id/usb")
    )


@pytest.mark.parametrize("folder", ["by-id", "by-path"])
def test_an_absent_link_is_an_absent_camera(folder: str) -> None:
    with pytest.raises(SourceError, match=f"camera /dev/v4l/{folder}/none does not exist; "):
        OpenCVSource(f"/dev/v4l/{folder}/none")


def test_the_frames_of_a_camera_are_whole_and_bear_its_drivers_times(camera_library: Path) -> None:
    program = """
import json, time
from edge.capture.opencv import OpenCVSource
stamps, ages, torn = [], [], 0
with OpenCVSource("/dev/video77") as source:
    for frame in source.frames():
        ages.append(time.monotonic() - frame.timestamp_s)
        stamps.append(frame.timestamp_s)
        torn += bool((frame.image == 0xEE).any())
        if len(ages) == 20:
            break
print(json.dumps([frame.image.shape, torn, min(ages), stamps]))
"""
    shape, torn, youngest_s, stamps = with_camera(camera_library, program)
    assert (shape, torn) == ([480, 640], 0)
    assert youngest_s >= 0.02, "the driver's stamp is 20 ms older than the end of grab()"
    assert all(a < b for a, b in pairwise(stamps))


def test_a_silent_camera_is_back_without_a_second_process(camera_library: Path) -> None:
    program = """
import json
from edge import session
from edge.config import Config, SourceConfig
with session.parts(Config(source=SourceConfig(address="/dev/video77"))) as parts:
    live = parts.frames
    for frame in live:
        if live.outages:
            break
    print(json.dumps([dict(live.rungs), list(live.outages)]))
"""
    rungs, outages = with_camera(camera_library, program, SILENT_AFTER="30")
    assert rungs == {"reopened": 1}, "OpenCV gave its thread back"
    assert outages[0] < 4, "2 s are the patience of [recovery]; OpenCV by itself waits for 10 s"


def test_a_camera_that_hangs_sideways_is_turned_and_loads_no_reader_of_files(camera_library: Path) -> None:
    program = """
import json, sys
from edge import session
from edge.config import Config, SourceConfig
with session.parts(Config(source=SourceConfig("/dev/video77", rotate=270))) as parts:
    frame = next(iter(parts.frames))
    print(json.dumps([frame.image.shape, "av" in sys.modules, "edge.capture.files" in sys.modules]))
"""
    assert with_camera(camera_library, program) == [[640, 480], False, False]


@pytest.mark.parametrize("color", [False, True])
def test_padded_rows_are_told_of(camera_library: Path, color: bool) -> None:
    program = f"""
import json
from edge.capture.opencv import OpenCVSource
from edge.errors import SourceError
try:
    OpenCVSource("/dev/video77", color={color})
except SourceError as error:
    print(json.dumps(str(error)))
"""
    told = with_camera(camera_library, program, PADDING="64")
    assert "pads its rows to 1344 bytes" in told
    assert "; set source.width" in told


@pytest.mark.parametrize("wish", ["draw", "color"])
def test_a_clip_in_color_takes_a_camera_in_color(monkeypatch, wish: str) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(opencv, "OpenCVSource", lambda *_, color, controls: asked.append(color))
    for value in (False, True):
        open_source(SourceConfig("/dev/video0", **{wish: value}))
    assert asked == [False, True]
