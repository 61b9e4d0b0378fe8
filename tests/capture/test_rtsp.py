"""A real RTSP server on loopback: fresh frames, silence, cuts, closing."""

from __future__ import annotations

import logging
import signal
import threading
import time
from statistics import median
from types import SimpleNamespace

import numpy as np
import pytest
from contracts import check_source
from open_resources import in_use
from rtsp_server import Camera, serve

from edge.capture.cv_capture import Picture
from edge.capture.rtsp import OPEN_S, READ_S, RtspSource, parameters
from edge.data import Frame
from edge.errors import SourceError


def read_to_the_end(source: RtspSource) -> tuple[str, int, float]:
    """What ``frames`` raises, the frames before it, and when it did so."""
    frames: list[Frame] = []
    with source, pytest.raises(SourceError) as caught:
        frames.extend(source.frames())
    return str(caught.value), len(frames), time.monotonic()


def test_an_opencv_that_knows_no_threads_is_not_asked_for_them() -> None:
    """4.6, of Debian 12; it opens nothing with a parameter that it does not know."""
    times = {"CAP_PROP_OPEN_TIMEOUT_MSEC": 53, "CAP_PROP_READ_TIMEOUT_MSEC": 54}
    limits = [53, 1000 * OPEN_S, 54, 1000 * READ_S]
    assert parameters(SimpleNamespace(**times)) == limits
    assert parameters(SimpleNamespace(**times, CAP_PROP_N_THREADS=70)) == [*limits, 70, 1]


def test_contract(camera: Camera, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    opened = RtspSource(camera.address(), 320, 240, 25)
    assert opened.live
    frames = check_source(opened)
    assert len(frames) == 20
    assert {frame.image.shape for frame in frames} == {(240, 320, 3)}
    mode = "h264, width 320, height 240, 25 fps; requested width 320, height 240, 25 fps"
    assert caplog.messages == [f"{camera.address()} delivers {mode}"]


def test_a_size_that_the_camera_does_not_give_is_warned_of(
    camera: Camera, caplog: pytest.LogCaptureFixture
) -> None:
    with RtspSource(camera.address(), 640, 240, 25):
        pass
    assert caplog.messages == [
        f"{camera.address()} delivers width 320 instead of width 640; set that in the camera itself"
    ]


def test_frames_are_fresh_from_the_first_on(camera: Camera) -> None:
    ages_s = []
    for frame in check_source(RtspSource(camera.address("clock")), at_most=50):
        pictured_ms = sum(1 << bit for bit in range(16) if frame.image[120, 20 * bit + 10].mean() > 128)
        ages_s.append((round(frame.timestamp_s * 1000) - pictured_ms) % 65536 / 1000)
    print(f"seconds from the picture to its stamp: {median(ages_s):.3f}")
    assert median(ages_s) < 0.075, "one period of 40 ms, as FFmpeg waits for the next frame's start"
    assert ages_s[0] < 0.2, "the backlog of the opening, 0.3 s and more, was not skipped"


def test_a_stream_that_ends_says_so(camera: Camera) -> None:
    message, read, _ = read_to_the_end(RtspSource(camera.address("short")))
    assert "ended the stream after" in message
    assert read > 10


def test_a_camera_that_is_quicker_than_it_says() -> None:
    """Sixty frames a second, evenly, from a stream without a rate: none of them is waited for for long."""

    class Quick:
        closed = False

        def read(self) -> Picture:
            time.sleep(0.01)
            return Picture(np.zeros((2, 2, 3), np.uint8), time.monotonic(), 0.0)

    source = RtspSource.__new__(RtspSource)
    source.name, source.fps, source._capture = "rtsp://cam", 25.0, Quick()
    source._catch_up_s = 0.2
    assert 5 < next(source.frames()).index < 60


def test_a_killed_server_is_told_at_once_and_found_again() -> None:
    with serve() as camera:
        opened = RtspSource(camera.address())
        threading.Timer(1.0, camera.process.kill).start()
        message, read, _ = read_to_the_end(opened)
        camera.process.wait()
        assert "ended the stream after" in message
        assert read > 10
    with pytest.raises(SourceError, match="refuses the connection"):
        RtspSource(camera.address())
    with serve(camera.port) as again:
        started = time.monotonic()
        check_source(RtspSource(again.address()), at_most=3)
        back_s = time.monotonic() - started
    print(f"seconds from a listening server to the third frame: {back_s:.2f}")
    assert back_s < OPEN_S, "about 0.5 s, most of it FFmpeg's analysis of the stream"


def test_a_server_that_falls_silent() -> None:
    with serve() as camera:
        opened = RtspSource(camera.address())
        frames = opened.frames()
        next(frames)
        camera.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        message, _, told = read_to_the_end(opened)
        print(f"seconds from the silence to the error: {told - stopped:.2f}")
        assert "went silent after" in message
        assert told - stopped < READ_S + 1
        with pytest.raises(SourceError, match="does not answer within 5 s"):  # the kernel still connects
            RtspSource(camera.address())
        camera.process.send_signal(signal.SIGCONT)
        check_source(RtspSource(camera.address()), at_most=3)


@pytest.mark.parametrize("silent", [False, True])
def test_closing_from_another_thread(silent: bool) -> None:
    """It returns within 0.5 s; a reader that waits in FFmpeg leaves without a fault when its time is over."""
    with serve() as camera:
        opened, ended = RtspSource(camera.address()), []

        def read() -> None:
            for _ in opened.frames():
                pass
            ended.append(time.monotonic())

        reader = threading.Thread(target=read)
        reader.start()
        time.sleep(0.3)
        if silent:
            camera.process.send_signal(signal.SIGSTOP)
            time.sleep(0.3)
        started = time.monotonic()
        opened.__exit__(None, None, None)
        assert time.monotonic() - started < 0.7
        reader.join(READ_S + 2)
        assert ended[0] - started < (READ_S + 0.5 if silent else 0.5)
        with pytest.raises(SourceError, match="already closed"):
            next(opened.frames())


def test_nothing_is_left_over_20_connections(camera: Camera) -> None:
    def cycle() -> None:
        check_source(RtspSource(camera.address()), at_most=2)
        with pytest.raises(SourceError):
            RtspSource(camera.address("none"))

    cycle()
    before = in_use()
    for _ in range(20):
        cycle()
    assert in_use() <= before
