"""Network cameras that speak RTSP, through OpenCV's FFmpeg."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

import cv2

from edge.capture.addresses import without_password
from edge.capture.cv_capture import GuardedCapture, nominal_fps, report_mode, silence_opencv
from edge.data import Frame
from edge.errors import SourceError
from edge.system.closing import Closing

if TYPE_CHECKING:  # what asks a camera for its fault is imported when it is asked
    import socket
    from email.message import Message

OPEN_S = 5.0  # to connect and to learn what the stream holds
READ_S = 2.0  # for the next frame
CATCH_UP_S = 1.0  # after which no frame is old any more
_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_TCP = "rtsp_transport;tcp|fpsprobesize;0"  # without the latter, opening counts frames for a second
_ENCODE = "write @ : / % # ? in a user or password as %40 %3A %2F %25 %23 %3F"


class RtspSource(Closing):
    """Frames of ``rtsp://user:password@host:port/path``, over TCP.

    The camera itself decides on size and rate: ``width``, ``height`` (pixels) and ``fps`` only make the log
    warn where it gives something else. Raises SourceError where it cannot be opened, from ``frames`` where it
    ends, and where no frame comes for READ_S seconds. Closing wakes no running read: ``frames`` ends when
    that returns, after READ_S at the latest, and frees the connection then. Transport and other options are
    the user's own where OPENCV_FFMPEG_CAPTURE_OPTIONS is set in the environment; else it is set for this
    process.
    """

    live = True
    frame_count: int | None = None

    def __init__(
        self, address: str, width: int | None = None, height: int | None = None, fps: float | None = None
    ) -> None:
        """Connect at once, within OPEN_S seconds; finding out why that failed may take as long again."""
        silence_opencv()
        os.environ.setdefault(_OPTIONS, _TCP)  # OpenCV reads it at every opening; files are not changed by it
        self.name = without_password(address)
        parts = _split(address)
        started = time.monotonic()
        capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, parameters(cv2))
        if not capture.isOpened():
            if time.monotonic() - started > 0.9 * OPEN_S:
                raise SourceError(f"{self.name} does not answer within {OPEN_S:g} s; check the camera")
            raise SourceError(f"{self.name} {_fault(parts)}")
        self.fps = nominal_fps(capture)  # frames per second as the stream names them
        wishes = {
            cv2.CAP_PROP_FRAME_WIDTH: width,
            cv2.CAP_PROP_FRAME_HEIGHT: height,
            cv2.CAP_PROP_FPS: fps,
        }
        report_mode(self.name, capture, wishes, "set that in the camera itself")
        self._capture = GuardedCapture(capture)

    def close(self) -> None:
        """Free the connection; a running read frees it when it returns."""
        self._capture.close()

    def frames(self) -> Iterator[Frame]:
        """Yield frames with ``image`` (H,W,3) uint8 BGR until closed; index counts all that were decoded.

        ``timestamp_s`` is CLOCK_MONOTONIC when the frame was decoded. The latency of camera, network and
        decoder is not in it: the scene is older by one period at least. What piled up while FFmpeg
        analyzed the stream is skipped.
        """
        if self._capture.closed:
            raise SourceError(f"{self.name} is closed already; open a new source to read it again")
        index, caught_up, began = 0, False, time.monotonic()
        while True:
            started = time.monotonic()
            picture = self._capture.read()
            if self._capture.closed:
                return
            waited_s = time.monotonic() - started
            # FFmpeg may hand out one last picture after its time is over, and then wait all over again.
            if waited_s > 0.9 * READ_S:
                raise SourceError(f"{self.name} went silent after {index} frames; check camera and network")
            if picture is None:
                raise SourceError(f"{self.name} ended the stream after {index} frames; check the camera")
            # Old frames come at once; the first that had to be waited for is a new one. A camera that is
            # quicker than it says never lets one wait so long.
            caught_up = caught_up or waited_s > 0.5 / self.fps or started - began > CATCH_UP_S
            if caught_up:
                yield Frame(picture.image, picture.grabbed_s, index)
            index += 1


def parameters(library: ModuleType) -> list[int]:
    """What ``library``, OpenCV, is to keep to with a stream: each CAP_PROP with its value behind it."""
    limits = [
        library.CAP_PROP_OPEN_TIMEOUT_MSEC,
        int(OPEN_S * 1000),
        library.CAP_PROP_READ_TIMEOUT_MSEC,
        int(READ_S * 1000),
    ]
    # Each further thread holds one more frame back: at 25 fps, one gave frames 42 ms old, four 163 ms.
    # OpenCV 4.6, which Debian 12 has, cannot be told so, and refuses a parameter that it does not know.
    threads = getattr(library, "CAP_PROP_N_THREADS", None)
    return limits if threads is None else [*limits, threads, 1]


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        if parts.scheme == "rtsp" and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass  # its message may hold the password
    name = without_password(address)
    raise SourceError(f"{name} is no address of the form rtsp://user:password@host:554/path; {_ENCODE}")


def _fault(parts: SplitResult) -> str:
    """Why FFmpeg, which does not tell, could not open it: ask the server for the stream's description."""
    import http.client
    import socket

    try:
        status, answer = _describe(parts)
    except ConnectionRefusedError:
        return "refuses the connection; check host and port, and that the camera runs"
    except TimeoutError:
        return f"does not answer within {OPEN_S:g} s; check host, network and camera"
    except socket.gaierror:
        return f"has an unknown host; check its name; {_ENCODE}"
    except OSError as error:
        return f"cannot be reached ({error.strerror or type(error).__name__}); check host, port and network"
    except (http.client.HTTPException, ValueError):
        return "does not answer in RTSP; check the port, which is 554 on most cameras"
    if status == 401 and not parts.username:
        return "asks for a password (401); write rtsp://user:password@host/path"
    if status == 401:
        return f"refuses this user or password (401); correct them; {_ENCODE}"
    if status == 404:
        return "has no such stream (404); look up the path in the camera's manual"
    if status == 200 and not re.search(rb"^m=video ", answer, re.MULTILINE):
        return "has no video in its stream; look up the path in the camera's manual"
    if status == 200:
        return "has video that FFmpeg cannot open; set the camera to H.264 and close its other viewers"
    return f"answers with RTSP status {status}; look it up in the camera's manual"


def _describe(parts: SplitResult) -> tuple[int, bytes]:
    """Status and SDP of a DESCRIBE request, repeated with the password where that is asked for."""
    import socket

    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    address = f"rtsp://{host}:{parts.port or 554}{parts.path}{'?' if parts.query else ''}{parts.query}"
    with socket.create_connection((parts.hostname, parts.port or 554), OPEN_S) as connection:
        status, headers, answer = _ask(connection, address, 1)
        challenges = sorted(headers.get_all("WWW-Authenticate", []), reverse=True)  # Digest before Basic
        if status == 401 and parts.username and challenges:
            user, password = unquote(parts.username), unquote(parts.password or "")
            login = f"Authorization: {_authorization(challenges[0], user, password, address)}\r\n"
            status, _, answer = _ask(connection, address, 2, login)
    return status, answer


def _ask(connection: socket.socket, address: str, turn: int, login: str = "") -> tuple[int, Message, bytes]:
    """Status, headers and body of the answer to DESCRIBE (RFC 2326); ValueError where it is no RTSP."""
    import http.client

    request = f"DESCRIBE {address} RTSP/1.0\r\nCSeq: {turn}\r\nAccept: application/sdp\r\n{login}\r\n"
    connection.sendall(request.encode())
    with connection.makefile("rb") as stream:
        match = re.match(rb"RTSP/1\.\d (\d{3})", stream.readline(1000))
        if match is None:
            raise ValueError("no RTSP")
        headers = http.client.parse_headers(stream)
        return int(match[1]), headers, stream.read(min(int(headers.get("Content-Length", 0)), 100_000))


def _authorization(challenge: str, user: str, password: str, address: str) -> str:
    """The answer to a Basic (RFC 7617) or Digest challenge (RFC 2069, which RTSP 1.0 refers to)."""
    import base64

    if challenge.lower().startswith("basic"):
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm, nonce = fields.get("realm", ""), fields.get("nonce", "")
    response = _md5(_md5(user, realm, password), nonce, _md5("DESCRIBE", address))
    return (
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{address}", response="{response}"'
    )


def _md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()
