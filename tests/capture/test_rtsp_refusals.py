"""Whatever an RTSP server refuses is told in one line without the password."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import quote

import pytest
from contracts import check_source
from hypothesis import example, given
from hypothesis import strategies as st
from rtsp_server import Camera, serve

from edge.capture.rtsp import OPEN_S, RtspSource, without_password
from edge.errors import SourceError

PASSWORD = "p@ss:w/ö%41"  # each of these signs has a meaning of its own in an address


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
