"""RTSP network cameras, through OpenCV's FFmpeg."""

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
from edge.config import SourceConfig
from edge.data import Frame
from edge.errors import SourceError
from edge.system.bounded_socket import has_head, received
from edge.system.closing import Closing

if TYPE_CHECKING:  # only the diagnosis of a failed connection needs them at run time
    import socket
    from email.message import Message

OPEN_S = 5.0  # timeout to connect and to analyze the stream
READ_S = 2.0  # timeout for the next frame
CATCH_UP_S = 1.0  # after this, no frame is stale
_MOST_HEAD_BYTES, _MOST_BODY_BYTES = 16_384, 100_000  # of an answer
_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_TCP = "rtsp_transport;tcp|fpsprobesize;0"  # without the latter, opening counts frames for a second
_ENCODE = "write @ : / % # ? in a user name or password as %40 %3A %2F %25 %23 %3F"


class RtspSource(Closing):
    """Frames of ``rtsp://user:password@host:port/path``, over TCP.

    The camera sets size and rate: ``width``, ``height`` (pixels) and ``fps`` only cause a warning in the log
    if they differ. Raises SourceError if the stream cannot be opened; ``frames`` raises it if the stream ends
    or no frame arrives for READ_S seconds. Closing does not interrupt a running read: ``frames`` ends and
    frees the connection when that returns, after READ_S at the latest. To choose the transport and other
    options, set OPENCV_FFMPEG_CAPTURE_OPTIONS in the environment; otherwise it is set for this process.
    """

    live = True
    frame_count: int | None = None

    def __init__(
        self,
        address: str,
        width: int | None = None,
        height: int | None = None,
        fps: float | None = None,
        *,
        catch_up_s: float = CATCH_UP_S,
        most_pixels: int = SourceConfig.most_pixels,
    ) -> None:
        """Connect immediately, within OPEN_S seconds; diagnosing a failure may take as long again."""
        silence_opencv()
        os.environ.setdefault(_OPTIONS, _TCP)  # OpenCV reads it at every open; it does not affect files
        self.name, self._catch_up_s = without_password(address), catch_up_s
        parts = _split(address)
        started = time.monotonic()
        capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, parameters(cv2))
        if not capture.isOpened():
            if time.monotonic() - started > 0.9 * OPEN_S:
                raise SourceError(f"{self.name} does not answer within {OPEN_S:g} s; check the camera")
            raise SourceError(f"{self.name} {_fault(parts)}")
        _check_size(self.name, capture, most_pixels)
        self.fps = nominal_fps(capture)  # frames per second according to the stream
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
        """Yield frames with ``image`` (H,W,3) uint8 BGR until closed; index counts all decoded frames.

        ``timestamp_s`` is CLOCK_MONOTONIC when the frame was decoded. It does not include the latency of
        camera, network and decoder: the scene is at least one period older. Frames that were queued while
        FFmpeg analyzed the stream are skipped.
        """
        if self._capture.closed:
            raise SourceError(f"{self.name} is already closed; open a new source to read it again")
        index, caught_up, began = 0, False, time.monotonic()
        while True:
            started = time.monotonic()
            picture = self._capture.read()
            if self._capture.closed:
                return
            waited_s = time.monotonic() - started
            # FFmpeg may return one last picture after its timeout, and then wait all over again.
            if waited_s > 0.9 * READ_S:
                raise SourceError(f"{self.name} went silent after {index} frames; check camera and network")
            if picture is None:
                raise SourceError(f"{self.name} ended the stream after {index} frames; check the camera")
            # Queued frames arrive without a wait; the first one to be waited for is current. _catch_up_s is
            # for a camera that is faster than it reports, and so never causes such a wait.
            caught_up = caught_up or waited_s > 0.5 / self.fps or started - began > self._catch_up_s
            if caught_up:
                yield Frame(picture.image, picture.grabbed_s, index)
            index += 1


def _check_size(name: str, capture: cv2.VideoCapture, most_pixels: int) -> None:
    width, height = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > most_pixels:
        capture.release()
        raise SourceError(
            f"{name} says {width}x{height} pixels, at most {most_pixels:,} are read; set a smaller size in "
            "the camera itself, or limits.picture_megapixels"
        )


def parameters(library: ModuleType) -> list[int]:
    """Parameters for opening a stream with OpenCV (``library``): CAP_PROP, value, CAP_PROP, value, ..."""
    limits = [
        library.CAP_PROP_OPEN_TIMEOUT_MSEC,
        int(OPEN_S * 1000),
        library.CAP_PROP_READ_TIMEOUT_MSEC,
        int(READ_S * 1000),
    ]
    # Each additional thread delays frames by one: at 25 fps they were 42 ms old with one, 163 ms with four.
    # OpenCV 4.6, as in Debian 12, lacks the parameter, and refuses unknown ones.
    threads = getattr(library, "CAP_PROP_N_THREADS", None)
    return limits if threads is None else [*limits, threads, 1]


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        if parts.scheme == "rtsp" and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass  # its message may contain the password
    name = without_password(address)
    raise SourceError(f"{name} is not of the form rtsp://user:password@host:554/path; {_ENCODE}")


def _fault(parts: SplitResult) -> str:
    """Why the stream cannot be opened, which FFmpeg does not report: send the server a DESCRIBE request."""
    import http.client
    import socket

    try:
        status, body = _describe(parts)
    except ConnectionRefusedError:
        return "refuses the connection; check host and port, and that the camera is on"
    except TimeoutError:
        return f"does not answer within {OPEN_S:g} s; check host, network and camera"
    except socket.gaierror:
        return f"has an unknown host; check the host name; {_ENCODE}"
    except OSError as error:
        return f"cannot be reached ({error.strerror or type(error).__name__}); check host, port and network"
    except (http.client.HTTPException, ValueError):
        return "does not answer in RTSP; check the port, which is 554 on most cameras"
    if status == 401 and not parts.username:
        return "requires a password (401); write rtsp://user:password@host/path"
    if status == 401:
        return f"rejects this user name or password (401); correct them; {_ENCODE}"
    if status == 404:
        return "has no such stream (404); look up the path in the camera's manual"
    if status == 200 and not re.search(rb"^m=video ", body, re.MULTILINE):
        return "has no video in its stream; look up the path in the camera's manual"
    if status == 200:
        return "has video that FFmpeg cannot open; set the camera to H.264 and close other viewers"
    return f"answers with RTSP status {status}; look it up in the camera's manual"


def _describe(parts: SplitResult) -> tuple[int, bytes]:
    """Status and SDP of a DESCRIBE request, repeated with credentials if the server asks for them."""
    import socket

    until_s = time.monotonic() + OPEN_S
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    address = f"rtsp://{host}:{parts.port or 554}{parts.path}{'?' if parts.query else ''}{parts.query}"
    with socket.create_connection((parts.hostname, parts.port or 554), OPEN_S) as connection:
        status, headers, body = _request(connection, until_s, address, 1)
        challenges = sorted(headers.get_all("WWW-Authenticate", []), reverse=True)  # Digest before Basic
        if status == 401 and parts.username and challenges:
            user, password = unquote(parts.username), unquote(parts.password or "")
            login = f"Authorization: {_authorization(challenges[0], user, password, address)}\r\n"
            status, _, body = _request(connection, until_s, address, 2, login)
    return status, body


def _request(
    connection: socket.socket, until_s: float, address: str, number: int, login: str = ""
) -> tuple[int, Message, bytes]:
    """Status, headers and body of the response to DESCRIBE (RFC 2326); ValueError if it is not RTSP."""
    import http.client
    import io

    request = f"DESCRIBE {address} RTSP/1.0\r\nCSeq: {number}\r\nAccept: application/sdp\r\n{login}\r\n"
    connection.sendall(request.encode())
    stream = io.BytesIO(received(connection, _MOST_HEAD_BYTES, until_s, has_head))
    match = re.match(rb"RTSP/1\.\d (\d{3})", stream.readline(1000))
    if match is None:
        raise ValueError("not RTSP")
    headers = http.client.parse_headers(stream)
    body = stream.read()  # what came together with the head
    length = min(max(int(headers.get("Content-Length", 0)), 0), _MOST_BODY_BYTES) - len(body)
    return int(match[1]), headers, body + received(connection, length, until_s, lambda _: False)


def _authorization(challenge: str, user: str, password: str, address: str) -> str:
    """Response to a Basic (RFC 7617) or Digest challenge (RFC 2069, to which RTSP 1.0 refers)."""
    import base64

    if challenge.lower().startswith("basic"):
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    fields = dict(re.findall(r'(\w+)="([^"\r\n]*)"', challenge))  # a line break would begin another header
    realm, nonce = fields.get("realm", ""), fields.get("nonce", "")
    response = _md5(_md5(user, realm, password), nonce, _md5("DESCRIBE", address))
    return (
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{address}", response="{response}"'
    )


def _md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()
