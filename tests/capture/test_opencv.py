"""Video files are read whole and in order; whatever cannot be read is named in one line."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from contracts import check_source
from hypothesis import given
from hypothesis import strategies as st

from edge.capture import opencv
from edge.capture.cv_capture import log_level_setter, report_mode
from edge.capture.opencv import OpenCVSource, container_time, driver_time, is_camera, is_short
from edge.capture.sources import open_source
from edge.config import SourceConfig
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
    # The codec is lossy: half the distance of two frames tells neighbors apart.
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
    assert f"is truncated after frame {len(frames)}" in caplog.text


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
    assert f"is truncated after frame {len(frames)} of 30" in caplog.text


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


def test_opencv_is_silenced_in_each_version() -> None:
    """A board's own OpenCV is 4.6 to 4.10, the wheels are newer."""

    def setter(level: int) -> None: ...

    old = SimpleNamespace(setLogLevel=setter, utils=SimpleNamespace())
    new = SimpleNamespace(utils=SimpleNamespace(logging=SimpleNamespace(setLogLevel=setter)))
    assert log_level_setter(old) is log_level_setter(new) is setter


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


@given(st.lists(st.tuples(st.floats(), st.floats(1e-3, 5)), max_size=50))
def test_driver_times_rise_whatever_the_driver_says(frames: list[tuple[float, float]]) -> None:
    last_s, now_s = None, 1000.0
    for position_ms, later_s in frames:
        now_s += later_s
        stamp_s = driver_time(position_ms, last_s, now_s)
        assert now_s - 10 < stamp_s <= now_s
        assert last_s is None or stamp_s > last_s
        last_s = stamp_s


@pytest.mark.parametrize(
    ("stamp_s", "last_s", "taken"),
    [
        (99.98, 99.95, True),
        (99.98, None, True),
        (99.98, 99.98, False),
        (0.0, None, False),
        (100.001, None, False),
        (89.0, None, False),
        (1.7e9, None, False),
        (math.nan, None, False),
    ],
)
def test_a_driver_time_is_taken_where_it_can_be_right(
    stamp_s: float, last_s: float | None, taken: bool
) -> None:
    assert driver_time(1000 * stamp_s, last_s, 100.0) == pytest.approx(stamp_s if taken else 100.0)


@pytest.fixture(scope="module")
def camera_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tests/helpers/v4l2_camera.c, compiled."""
    compiler = shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("the camera is written in C for Linux, and there is no gcc")
    library = tmp_path_factory.mktemp("camera") / "camera.so"
    source = Path(__file__).parents[1] / "helpers" / "v4l2_camera.c"
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], capture_output=True, text=True
    )
    if "linux/videodev2.h" in done.stderr:
        pytest.skip("the kernel's headers are not installed: linux-libc-dev")
    assert done.returncode == 0, done.stderr
    return library


def with_camera(library: Path, program: str, **settings: str) -> dict:
    """What ``program`` prints as JSON while /dev/video77 is the camera of tests/helpers/v4l2_camera.c."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**plain, **settings, "LD_PRELOAD": str(library)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


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
    monkeypatch.setattr(opencv, "OpenCVSource", lambda *_, color: asked.append(color))
    for value in (False, True):
        open_source(SourceConfig("/dev/video0", **{wish: value}))
    assert asked == [False, True]
