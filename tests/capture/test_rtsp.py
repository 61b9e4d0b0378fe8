"""A real RTSP server on loopback; whatever goes wrong is told in one line without the password."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from statistics import median
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pytest
from contracts import check_source
from hypothesis import example, given
from hypothesis import strategies as st
from rtsp_server import Camera, serve

from edge.capture import rtsp
from edge.capture.cv_capture import Picture
from edge.capture.rtsp import OPEN_S, READ_S, RtspSource, parameters, without_password
from edge.data import Frame
from edge.errors import SourceError

PASSWORD = "p@ss:w/ö%41"  # each of these signs has a meaning of its own in an address


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    with serve() as camera:
        yield camera


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


@pytest.mark.parametrize(("path", "fault"), [("none", "no such stream (404)"), ("sound", "no video")])
def test_faults_of_the_path(camera: Camera, path: str, fault: str) -> None:
    with pytest.raises(SourceError) as caught:
        RtspSource(camera.address(path))
    check_message(str(caught.value), camera.address(path), fault)


def test_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(SourceError) as caught:
        RtspSource(f"rtsp://me:secret@127.0.0.1:{port}/1")
    check_message(str(caught.value), f"rtsp://me:***@127.0.0.1:{port}/1", "refuses the connection")


def test_a_server_that_speaks_another_language() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            for _ in range(2):  # FFmpeg's connection, then ours
                connection = listening.accept()[0]
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(SourceError, match="does not answer in RTSP; check the port"):
            RtspSource(f"rtsp://127.0.0.1:{listening.getsockname()[1]}/1")
        thread.join(5)


def test_a_camera_that_is_quicker_than_it_says(monkeypatch) -> None:
    """Sixty frames a second, evenly, from a stream without a rate: none of them is waited for for long."""

    class Quick:
        closed = False

        def read(self) -> Picture:
            time.sleep(0.01)
            return Picture(np.zeros((2, 2, 3), np.uint8), time.monotonic(), 0.0)

    source = RtspSource.__new__(RtspSource)
    source.name, source.fps, source._capture = "rtsp://cam", 25.0, Quick()
    monkeypatch.setattr(rtsp, "CATCH_UP_S", 0.2)
    assert 5 < next(source.frames()).index < 60


def test_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        started = time.monotonic()
        with pytest.raises(SourceError, match="does not answer within 5 s"):
            RtspSource(f"rtsp://127.0.0.1:{listening.getsockname()[1]}/1")
        assert time.monotonic() - started < OPEN_S + 2


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://",
        "rtsp:///path",
        "rtsp://me:secret@",
        "rtsp://me:se/cret@host/path",
        "rtsp://me:se[cret@host/path",
        "rtsp://me:secret@host:port/path",
        "rtsp://me:secret@host:99999/path",
        "http://me:secret@host/path",
    ],
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(SourceError, match="is not of the form") as caught:
        RtspSource(address)
    assert "cret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None, "a traceback would tell it"


@pytest.mark.parametrize("method", ["basic", "digest"])
def test_logins(method: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = []
    with serve(method=method, password=PASSWORD) as camera:
        right, wrong = (f"viewer:{quote(word, safe='')}@" for word in (PASSWORD, PASSWORD + "x"))
        check_source(RtspSource(camera.address(login=right)), at_most=3)
        for path, login, fault in (
            ("camera", wrong, "rejects this user name or password (401)"),
            ("camera", "", "requires a password (401)"),
            ("none", right, "no such stream (404)"),
        ):
            with pytest.raises(SourceError) as caught:
                RtspSource(camera.address(path, login))
            check_message(str(caught.value), camera.address(path, login and "viewer:***@"), fault)
            told.append(str(caught.value))
        camera.process.kill()
        told.append(read_to_the_end_of(camera, right))
    for text in [*told, *caplog.messages]:
        assert "w/ö" not in text
        assert quote(PASSWORD, safe="") not in text
    assert "viewer:***@" in caplog.text


def read_to_the_end_of(camera: Camera, login: str) -> str:
    with pytest.raises(SourceError) as caught:
        RtspSource(camera.address(login=login))
    return str(caught.value)


def test_ffmpeg_keeps_silent_and_the_users_own_options_stand(camera: Camera) -> None:
    # In a process of its own: FFmpeg reads its log level once.
    program = f"""
import os, sys; sys.path[:0] = {sys.path!r}
from edge.capture.rtsp import RtspSource
from edge.errors import SourceError
try:
    RtspSource({camera.address("none", "me:secret@")!r})
except SourceError as error:
    print(error)
print(os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"])
"""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}
    for options in ({}, {"OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;udp"}):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=plain | options)
        assert done.stderr == ""
        assert "secret" not in done.stdout
        expected = options.get("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp|fpsprobesize;0")
        assert done.stdout.splitlines()[1:] == [expected]


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


def in_use() -> tuple[int, int]:
    """Open descriptors and threads of this process, FFmpeg's threads too."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://user:pass@host:554/a?b=c", "rtsp://user:***@host:554/a?b=c"),
        ("rtsp://me@home.org:pass@host/a", "rtsp://me@home.org:***@host/a"),
        ("rtsp://:pass@host", "rtsp://:***@host"),
        ("rtsp://user@host:554/a", "rtsp://user@host:554/a"),
        ("rtsp://host:554/a", "rtsp://host:554/a"),
        ("rtsp://host/user=me&Password=p@ss&channel=1", "rtsp://host/user=me&Password=***&channel=1"),
        ("/dev/v4l/by-path/pci-0:1-video-index0", "/dev/v4l/by-path/pci-0:1-video-index0"),
        ("clips/a:b@c.mp4", "clips/a:b@c.mp4"),
        ("", ""),
    ],
)
def test_without_password(address: str, shown: str) -> None:
    assert without_password(address) == shown


@given(
    scheme=st.from_regex(r"[a-z][a-z0-9+.-]{0,9}", fullmatch=True),
    user=st.text(st.characters(exclude_characters=":/?#", exclude_categories=["Cs"])),
    password=st.one_of(st.text(), st.text("@:/%?#[]&=\n aÄ京", min_size=1)),
    rest=st.from_regex(r"[a-z0-9.]{1,20}(:[0-9]{1,5})?(/[a-z0-9/=&?]*)?", fullmatch=True),
)
@example("rtsp", "user", "a@b/c", "host:554/path")
@example("rtsp", "user", "://", "host")
def test_no_password_is_shown_whatever_it_holds(scheme: str, user: str, password: str, rest: str) -> None:
    shown = without_password(f"{scheme}://{user}:{password}@{rest}")
    assert shown == without_password(f"{scheme}://{user}:@{rest}"), "the password has an influence"
    assert shown.startswith(f"{scheme}://{user}:***@{rest[:1]}")
    assert without_password(shown) == shown


def check_message(message: str, name: str, fault: str) -> None:
    assert message.startswith(f"{name} "), "the address, without its password, comes first"
    assert fault in message
    assert "\n" not in message
    assert "; " in message, "the message holds no fix"
