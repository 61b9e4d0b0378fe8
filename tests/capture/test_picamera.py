"""Raspberry Pi cameras over a stand-in for picamera2; tests/boards has the real one."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import stand_in_picamera2 as stand_in
from contracts import check_source

from edge import session
from edge.capture.picamera import source as picam
from edge.capture.picamera.source import PicameraSource, capture_time
from edge.capture.picamera.streams import small
from edge.config import Config, OutputConfig, SourceConfig
from edge.data import Frame
from edge.errors import DependencyError, SourceError

PATIENCE_S = 5.0  # a machine under load is slow; a hanging one is slower still


@pytest.fixture
def board(monkeypatch):
    """A working camera; at the end every request is released and every camera closed."""
    hardware = stand_in.install(monkeypatch)
    yield hardware
    assert hardware.lent == set(), "requests were not released"
    assert hardware.open == 0, "cameras were not closed"


def first(source: PicameraSource) -> Frame:
    with source:
        return next(source.frames())


def test_contract(board) -> None:
    frames = check_source(PicameraSource("picam://0"))
    assert [frame.index for frame in frames] == list(range(20))
    assert PicameraSource.live
    assert PicameraSource.frame_count is None


def test_luma_without_padding_is_a_copy_of_its_own(board) -> None:
    for padding in (0, 32, 96):
        board.padding, board.frames = padding, 0
        image = first(PicameraSource("picam://0")).image
        assert image.shape == (480, 640)
        assert (image == 40).all(), "padding or chroma shows in the image"
        assert image.base is None, "the image is a view of something"
        assert image.flags.writeable


@pytest.mark.parametrize("given", ["YUV420", "NV12"])
def test_any_format_that_begins_with_luma_will_do(board, given: str) -> None:
    board.format = given
    assert (first(PicameraSource("picam://0", 320, 240)).image == 40).all()


@pytest.mark.parametrize("padding", [0, 32])
def test_drawing_adds_a_large_stream_in_color(board, padding: int) -> None:
    board.padding = padding
    frame = first(PicameraSource("picam://0", 1280, 720, draw=True))
    assert frame.image.shape == (360, 640)
    assert (frame.image == 40).all(), "padding or chroma shows in the image"
    assert frame.drawn.shape == (720, 1280, 3)
    assert (frame.drawn == np.array([40, 41, 42], np.uint8)).all(), "not in the order blue, green, red"
    assert frame.drawn.flags.writeable
    asked = board.configured[-1]
    assert (asked["main"]["format"], asked["lores"]["format"]) == ("RGB888", "YUV420")
    assert board.frames == 1, "each picture was taken from a request of its own"


def test_both_pictures_are_of_one_moment(board) -> None:
    frames = check_source(PicameraSource("picam://0", 64, 48, draw=True))
    assert [int(frame.image[0, 0]) for frame in frames] == list(range(40, 60))
    assert [int(frame.drawn[0, 0, 0]) for frame in frames] == list(range(40, 60))


def test_without_drawing_there_is_one_stream(board) -> None:
    assert first(PicameraSource("picam://0", 1280, 720)).drawn is None
    asked = board.configured[-1]
    assert (asked["main"]["size"], asked["lores"]) == ((1280, 720), None)


@pytest.mark.parametrize(
    ("size", "luma"),
    [
        ((640, 480), (640, 480)),
        ((320, 241), (320, 240)),
        ((1920, 1080), (640, 360)),
        ((1640, 1232), (640, 480)),
        ((1080, 1920), (640, 1136)),
        ((4608, 2592), (640, 360)),
        ((3, 3), (2, 2)),
        ((9000, 2), (640, 2)),
    ],
)
def test_the_luma_beside_is_small_and_even(size: tuple[int, int], luma: tuple[int, int]) -> None:
    assert small(size) == luma


@pytest.mark.parametrize(("streams", "wishes"), [(2, {"color": True}), (1, {"draw": True})])
def test_color_and_a_camera_with_one_stream_give_bgr(board, streams: int, wishes: dict[str, bool]) -> None:
    board.streams = streams
    frame = first(PicameraSource("picam://0", 320, 240, **wishes))
    assert frame.image.shape == (240, 320, 3)
    assert (frame.image == np.array([40, 41, 42], np.uint8)).all(), "not in the order blue, green, red"
    assert (frame.luma_range, frame.drawn) == ("full", None)
    assert board.configured[-1]["lores"] is None


@pytest.mark.parametrize(("color", "sizes"), [(False, [(1280, 720), (640, 360)]), (True, [(1280, 720)])])
def test_a_run_that_draws_asks_for_both_streams(board, color: bool, sizes: list[tuple[int, int]]) -> None:
    """Unless it works in color, as ``source.color`` says."""
    source = SourceConfig("picam://0", 1280, 720, color=color)
    config = Config(source=source, output=OutputConfig(sinks={"annotate": {"path": "out.mp4"}}))
    with session.parts(config, lambda: parts.frames.leave()) as parts:
        assert list(parts.frames) == [], "the stand-in's flat pictures are no good frames"
    asked = board.configured[-1]
    assert [asked[name]["size"] for name in ("main", "lores") if asked[name]] == sizes


def test_what_is_asked_of_the_camera(board, caplog: pytest.LogCaptureFixture) -> None:
    first(PicameraSource("picam://0", 320, 240, 20.0))
    asked = board.configured[-1]
    assert asked["main"]["size"] == (320, 240)
    assert asked["controls"] == {"FrameDurationLimits": (50000, 50000)}, "microseconds"
    assert asked["raw"] is None, "a raw stream costs memory that nobody reads"
    assert asked["sensor"] == {"output_size": (2304, 1296)}, "the whole field of view, binned"
    first(PicameraSource("picam://0"))
    asked = board.configured[-1]
    assert (asked["main"]["size"], asked["controls"]["FrameDurationLimits"][0]) == ((640, 480), 33333)
    assert caplog.records == []


def test_wishes_that_the_camera_does_not_grant_are_named(board, caplog: pytest.LogCaptureFixture) -> None:
    board.controls, board.size = {}, (800, 600)
    assert first(PicameraSource("picam://0", 320, 240, 20.0)).image.shape == (600, 800)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "fps=20 is ignored" in caplog.text
    assert "800x600 instead of 320x240" in caplog.text
    assert board.configured[-1]["controls"] == {}, "a control that is not there is an error in picamera2"


@pytest.mark.parametrize(
    ("color_space", "luma_range"),
    [
        (SimpleNamespace(range=stand_in.Range.Full), "full"),
        (SimpleNamespace(range=stand_in.Range.Limited), "limited"),
        (None, "full"),
    ],
)
@pytest.mark.parametrize("draw", [False, True])
def test_luma_range(board, color_space, luma_range: str, draw: bool) -> None:
    board.color_space = color_space
    assert first(PicameraSource("picam://0", draw=draw)).luma_range == luma_range


def test_boot_time_becomes_monotonic(monkeypatch) -> None:
    asleep_ns = 3_600 * 10**9
    monkeypatch.setattr(
        time,
        "clock_gettime_ns",
        lambda clock: time.monotonic_ns() + (asleep_ns if clock == time.CLOCK_BOOTTIME else 0),
    )
    captured_ns = time.monotonic_ns() - 20 * 10**6
    # Two clocks are read one after the other; a busy machine may come in between.
    assert capture_time(captured_ns + asleep_ns) == pytest.approx(captured_ns / 1e9, abs=0.01)


@pytest.mark.parametrize("wrong_ns", [None, 0, -5, 1, 10**30])
def test_a_missing_or_impossible_stamp_becomes_now(wrong_ns: int | None) -> None:
    before = time.monotonic()
    assert before <= capture_time(wrong_ns) <= time.monotonic()


@pytest.mark.parametrize("stamps", ["still", "backwards", "missing"])
def test_times_rise_whatever_the_sensor_says(board, stamps: str) -> None:
    now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    board.stamps = {
        "still": (now_ns - 10**6 for _ in count()),
        "backwards": (now_ns - i * 10**6 for i in count(1)),
        "missing": (None for _ in count()),
    }[stamps]
    check_source(PicameraSource("picam://0"))


@pytest.mark.parametrize("late", [False, True])
def test_closing_from_another_thread_ends_a_silent_camera(board, late: bool) -> None:
    board.silent, board.late = True, late
    source = PicameraSource("picam://0")
    read: list[Frame] = []
    reader = threading.Thread(target=lambda: read.extend(source.frames()))
    reader.start()
    time.sleep(0.1)
    start = time.monotonic()
    source.__exit__(None, None, None)
    reader.join(PATIENCE_S)
    assert not reader.is_alive()
    assert time.monotonic() - start < 1.0
    assert read == []


def test_closing_while_frames_are_read(board) -> None:
    for _ in range(50):
        source = PicameraSource("picam://0", 16, 16)
        started = threading.Event()
        reader = threading.Thread(target=lambda s=source, e=started: [e.set() for _ in s.frames()])
        reader.start()
        assert started.wait(PATIENCE_S)
        source.__exit__(None, None, None)
        reader.join(PATIENCE_S)
        assert not reader.is_alive()
        assert board.lent == set()


def test_closing_does_not_wait_for_a_reader_that_hangs(board, monkeypatch, caplog) -> None:
    monkeypatch.setattr(picam, "_HANG_S", 0.1)
    source = PicameraSource("picam://0")
    with source._lock:
        source.__exit__(None, None, None)
    assert "picam://0 hangs in picamera2 and stays open; restart" in caplog.text
    assert board.open == 1
    source.__exit__(None, None, None)


def test_an_interrupt_while_waiting_leaves_no_job_behind(board, monkeypatch) -> None:
    board.silent, board.late = True, True

    with PicameraSource("picam://0") as source:
        frames = source.frames()
        with monkeypatch.context() as patch:
            real = stand_in.Job.get_result
            calls = count()
            patch.setattr(
                stand_in.Job,
                "get_result",
                lambda job, timeout=None: real(job, timeout) if next(calls) else _interrupt(),
            )
            with pytest.raises(KeyboardInterrupt):
                next(frames)
    assert board.frames == 1, "the late frame did not come; the test shows nothing"


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_a_closed_source_says_so(board) -> None:
    source = PicameraSource("picam://0")
    with source:
        frames = source.frames()
        next(frames)
    assert list(frames) == [], "closing in the middle is no fault"
    source.__exit__(None, None, None)
    with pytest.raises(SourceError, match="closed"):
        next(source.frames())


@pytest.mark.parametrize(
    "address", ["picam://", "picam://one", "picam://-1", "picam://²", "0", "picam://0/1"]
)
def test_addresses_that_name_no_camera(board, address: str) -> None:
    with pytest.raises(SourceError, match="as in picam://0") as caught:
        PicameraSource(address)
    assert str(caught.value).startswith(address)


def test_no_such_camera(board) -> None:
    with pytest.raises(SourceError, match=r"picam://2 does not exist; use one of: picam://0 \(imx708\)$"):
        PicameraSource("picam://2")
    board.models = ()
    with pytest.raises(SourceError, match="picam://0 does not exist; none found: check the ribbon cable"):
        PicameraSource("picam://0")


def test_a_camera_in_use_can_be_waited_for(board) -> None:
    board.busy = True
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(SourceError, match=r"0 is in use \(Failed .* busy\); stop the other program"):
            PicameraSource("picam://0")
    assert len(os.listdir("/proc/self/fd")) == before, "each refusal left descriptors"
    board.busy = False
    check_source(PicameraSource("picam://0"))


def test_a_camera_that_does_not_start_is_closed(board) -> None:
    board.start_fault = RuntimeError("Failed to start camera:\n Invalid argument")
    with pytest.raises(SourceError, match="does not start: Failed to start camera: Invalid argument; try"):
        PicameraSource("picam://0")


@pytest.mark.parametrize(("draw", "asked"), [(False, "YUV420"), (True, "RGB888")])
def test_a_usb_camera_is_sent_to_v4l2(board, draw: bool, asked: str) -> None:
    board.format, board.streams = "MJPEG", 1
    with pytest.raises(SourceError, match=f"delivers MJPEG, expected {asked}; use a USB camera, /dev/video0"):
        PicameraSource("picam://0", draw=draw)


def test_a_fault_while_reading_is_one_line(board) -> None:
    with PicameraSource("picam://0") as source:
        frames = source.frames()
        next(frames)
        board.fault = RuntimeError("Camera frontend\nhas timed out")
        with pytest.raises(SourceError, match="0 failed after 1 frames: Camera frontend has timed out; "):
            next(frames)


@pytest.mark.parametrize("stream", ["_image", "_drawn"])
def test_a_bad_request_is_released(board, stream: str) -> None:
    """The copy fails, for the stream is larger than the memory that came."""
    with PicameraSource("picam://0", draw=True) as source:
        about = getattr(source, stream)
        setattr(source, stream, replace(about, stride=2 * about.stride))
        with pytest.raises(SourceError, match="failed after 0 frames"):
            next(source.frames())
        assert board.lent == set()


def test_a_missing_library_names_the_package(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(DependencyError, match=r"sudo apt install python3-picamera2.*--system-site-packages"):
        PicameraSource("picam://0")


def test_a_library_that_does_not_fit_numpy_is_explained(monkeypatch, tmp_path) -> None:
    (tmp_path / "picamera2.py").write_text("raise ValueError('numpy.dtype size changed')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    with pytest.raises(DependencyError, match=r"numpy.dtype size changed.*pip uninstall numpy"):
        PicameraSource("picam://0")
