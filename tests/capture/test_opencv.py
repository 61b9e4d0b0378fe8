"""Video files are read whole and in order; whatever cannot be read is named in one line."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from contracts import check_source
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.guarded import report_mode
from edge.capture.opencv import OpenCVSource, container_time, is_camera, is_short
from edge.errors import SourceError

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "video"
CLIPS = {  # frames that decode; the headers of the MKV and of no_face.mp4 promise more
    "again.mkv": 77,
    "head-pose-face-detection-male.gif": 62,
    "no_face.mp4": 95,
    "noface_face.mov": 169,
}


def make_clip(path: Path, frames: int = 30, fps: float = 10.0, codec: str = "mp4v") -> Path:
    """Frame i has the brightness 8 i, so that its number can be read from the picture."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (64, 48))
    for i in range(frames):
        writer.write(np.full((48, 64, 3), 8 * i, np.uint8))
    writer.release()
    return path


def shared(name: str) -> Path:
    if not (SHARED / name).is_file():
        pytest.skip(f"{SHARED / name} is absent")
    return SHARED / name


def test_every_frame_has_its_own_time(tmp_path: Path) -> None:
    frames = check_source(OpenCVSource(str(make_clip(tmp_path / "clip.mp4"))), at_most=99)
    assert [frame.index for frame in frames] == list(range(30))
    # The codec is lossy: half the distance of two frames tells neighbours apart.
    assert [round(float(frame.image.mean()) / 8) for frame in frames] == list(range(30))
    assert [frame.timestamp_s for frame in frames] == pytest.approx([i / 10 for i in range(30)], abs=0.002)


def test_a_file_is_not_live_and_knows_its_length(tmp_path: Path) -> None:
    with OpenCVSource(str(make_clip(tmp_path / "clip.mp4"))) as source:
        assert not source.live
        assert source.frame_count == 30
        assert source.fps == pytest.approx(10)


@pytest.mark.parametrize("name", CLIPS)
def test_real_clips_are_whole_and_raise_no_alarm(name: str, caplog: pytest.LogCaptureFixture) -> None:
    frames = check_source(OpenCVSource(str(shared(name))), at_most=1000)
    assert len(frames) == CLIPS[name]
    assert frames[0].timestamp_s == 0
    assert caplog.records == []


@pytest.mark.parametrize("name", ["again.mkv", "head-pose-face-detection-male.gif"])
def test_a_cut_clip_warns_once(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = shared(name).read_bytes()
    cut = tmp_path / name
    cut.write_bytes(whole[: len(whole) * 6 // 10])
    frames = check_source(OpenCVSource(str(cut)), at_most=1000)
    assert 10 < len(frames) < CLIPS[name]
    assert len(caplog.records) == 1
    assert f"breaks off after frame {len(frames)}" in caplog.text


def test_a_cut_avi_gives_what_there_is_and_warns_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = make_clip(tmp_path / "cut.avi", codec="MJPG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    frames = check_source(OpenCVSource(str(path)), at_most=99)
    assert 5 < len(frames) < 25
    whole = frames[:-1]  # the last one may be cut in two
    assert [round(float(frame.image.mean()) / 8) for frame in whole] == list(range(len(whole)))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"breaks off after frame {len(frames)} of 30" in caplog.text


def test_a_damaged_mp4_gives_what_there_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = bytearray(shared("no_face.mp4").read_bytes())
    data[len(data) // 2 : len(data) * 3 // 4] = bytes(len(data) * 3 // 4 - len(data) // 2)
    (tmp_path / "hole.mp4").write_bytes(data)
    frames = check_source(OpenCVSource(str(tmp_path / "hole.mp4")), at_most=1000)
    assert frames
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "of 98" in caplog.text


def test_missing_file_folder_empty_and_text(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    faults = {"none.mp4": "does not exist", "": "is a folder", "empty.mp4": "0 bytes", "text.mp4": "decoded"}
    for name, fault in faults.items():
        with pytest.raises(SourceError, match=fault) as caught:
            OpenCVSource(str(tmp_path / name))
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "; " in str(caught.value), "the message holds no fix"


def test_opencv_and_ffmpeg_keep_silent(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    # In a process of its own: FFmpeg reads its variable once, and other tests open clips without it.
    program = f"""
import sys; sys.path[:0] = {sys.path!r}
from edge.capture.opencv import OpenCVSource
from edge.errors import SourceError
try:
    OpenCVSource({str(tmp_path / "text.mp4")!r})
except SourceError:
    print("refused")
"""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=plain)
    assert (done.stdout, done.stderr) == ("refused\n", "")


def test_absent_camera_names_the_ones_there_are() -> None:
    for address in ("/dev/video97", "97"):
        with pytest.raises(SourceError, match=r"/dev/video97 does not exist; (use one of: /dev/video|plug)"):
            OpenCVSource(address)


def test_a_closed_source_says_so(tmp_path: Path) -> None:
    source = OpenCVSource(str(make_clip(tmp_path / "clip.mp4")))
    with source:
        frames = source.frames()
        next(frames)
    assert list(frames) == [], "closing in the middle is no fault"
    with pytest.raises(SourceError, match="closed"):
        next(source.frames())


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
            ["MJPG, width 1280, height 720, 29.97 fps; asked for MJPG, width 1280, height 720, 30 fps"],
        ),
        (
            Camera("YUYV", 640, 480, 5),
            (MJPG, 1280, None, 30.0),
            [
                "YUYV, width 640, height 480, 5 fps; asked for MJPG, width 1280, 30 fps",
                "YUYV, width 640, 5 fps instead of MJPG, width 1280, 30 fps; look",
            ],
        ),
        (
            Camera("Y16 ", 160, 120, 9),
            (None, None, None, None),
            ["Y16, width 160, height 120, 9 fps; asked for nothing in particular"],
        ),
        (
            Camera("\x01\0\0\0", math.nan, 480, math.inf),
            (None, 640, 480, None),
            [
                "codec 0x1, width nan, height 480, inf fps; asked for width 640, height 480",
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
    assert caplog.messages == [f"it gives {words}" for words in said]
    assert [record.levelno for record in caplog.records] == [logging.INFO, logging.WARNING][: len(said)]


@given(st.lists(st.one_of(st.floats(), st.floats(0, 1e5)), max_size=50), st.floats(1, 240))
def test_times_rise_whatever_the_container_says(positions_ms: list[float], fps: float) -> None:
    last_s: float | None = None
    for position_ms in positions_ms:
        stamp_s = container_time(position_ms, last_s, fps)
        assert math.isfinite(stamp_s)
        assert stamp_s >= 0
        assert last_s is None or stamp_s > last_s or last_s > 1e12  # there a period is below one ulp
        last_s = stamp_s


def test_a_silent_container_is_timed_by_its_rate() -> None:
    last_s = None
    for i in range(50):
        last_s = container_time(0.0, last_s, 25.0)
        assert last_s == pytest.approx(i / 25)


@pytest.mark.parametrize(
    ("read", "promised", "short"),
    [(77, 78, False), (95, 98, False), (1394, 1390, False), (5, 0, False), (40, 78, True), (5, 9, True)],
)
def test_short(read: int, promised: int, short: bool) -> None:
    assert is_short(read, promised) == short


@given(st.integers(0, 10**5), st.integers(0, 10**5))
def test_short_at_any_length(promised: int, lost: int) -> None:
    short = is_short(promised - lost, promised)
    if lost <= max(2, 0.03 * promised):
        assert not short, "whole clips miss this many frames"
    if lost > max(2, 0.1 * promised):
        assert short, "a tenth is gone"
    assert is_short(promised - lost - 1, promised) >= short, "one frame fewer is no longer short"
