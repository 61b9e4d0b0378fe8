"""Video files and V4L2 cameras through OpenCV."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from edge.data import Frame
from edge.errors import SourceError

_log = logging.getLogger(__name__)
_LONGEST_GAP_S = 3600.0  # a container time further ahead than this is garbage
_DEFAULT_FPS = 25.0  # for a file that names no rate


class OpenCVSource:
    """Frames of a video file, every one in order, or of a camera (``/dev/video0`` or ``"0"``).

    ``width``, ``height`` (pixels) and ``fps`` are wishes to a camera, which may give something else.
    A file keeps its size; ``fps`` then serves only where the file carries no usable times.
    Raises SourceError where the address cannot be opened, and from ``frames`` where a camera stops.
    """

    def __init__(
        self, address: str, width: int | None = None, height: int | None = None, fps: float | None = None
    ) -> None:
        """Open ``address`` at once, so that a wrong one is known before anything else starts."""
        _silence_opencv()
        self.address = address
        self.live = is_camera(address)
        self._closed = False
        self._lock = threading.Lock()  # release() under a running grab() would crash the process
        if self.live:
            self._capture = _open_camera(address, width, height, fps)
            self.frame_count: int | None = None
        else:
            self._capture = _open_file(Path(address))
            self.frame_count = _positive(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.fps = fps or _rate(self._capture)  # frames per second, nominal

    def __enter__(self) -> OpenCVSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        # A camera may block in grab() for seconds; the reading thread then releases it instead.
        if self._lock.acquire(timeout=0.5):
            self._capture.release()
            self._lock.release()

    def frames(self) -> Iterator[Frame]:
        """Yield frames; a file ends after its last one, a camera runs until closed."""
        if self._closed:
            raise SourceError(f"{self.address} is closed already; open a new source to read it again")
        index, last_s = 0, None
        while (frame := self._next(index, last_s)) is not None:
            yield frame
            index, last_s = index + 1, frame.timestamp_s
        if self._closed:
            return
        if self.live:
            raise _camera_stopped(self.address, index)
        self._check_end(index, last_s)

    def _next(self, index: int, last_s: float | None) -> Frame | None:
        with self._lock:
            if self._closed:
                return None
            grabbed = self._capture.grab()
            # After grab() the position is that of the grabbed frame, before it that of the one before.
            now_s = time.monotonic()
            image = self._capture.retrieve()[1] if grabbed else None
            position_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
            if self._closed:
                self._capture.release()
                return None
        if image is None:
            return None
        stamp_s = now_s if self.live else container_time(position_ms, last_s, self.fps)
        return Frame(np.asarray(image, np.uint8), stamp_s, index)

    def _check_end(self, read: int, last_s: float | None) -> None:
        if read == 0:
            raise SourceError(
                f"{self.address} holds no decodable frame; check it with another player or copy it again"
            )
        promised = self.frame_count or 0
        if is_short(read, promised) or _lacks_gif_trailer(Path(self.address)):
            of = f" of {promised}" if promised > read else ""
            _log.warning("%s breaks off after frame %d%s (%.2f s)", self.address, read, of, last_s)


def is_camera(address: str) -> bool:
    """Whether ``address`` names a camera: a number or a ``/dev/video`` node."""
    return (address.isascii() and address.isdigit()) or address.startswith("/dev/video")


def container_time(position_ms: float, last_s: float | None, fps: float) -> float:
    """Seconds of a frame at ``position_ms``; one period after ``last_s`` where that is no rising time."""
    position_s = position_ms / 1000.0
    if last_s is None:
        return position_s if math.isfinite(position_s) and position_s >= 0 else 0.0
    if math.isfinite(position_s) and last_s < position_s < last_s + _LONGEST_GAP_S:
        return position_s
    return last_s + 1.0 / fps


def is_short(read: int, promised: int) -> bool:
    """Whether ``read`` frames are clearly fewer than the header promised.

    The header's count is often duration times rate: whole clips miss up to 3 frames or 3 percent.
    """
    return promised - read > max(2.0, 0.05 * promised)


def _silence_opencv() -> None:
    # FFmpeg reads its variable once, at the first opening in this process; a user's own choice stands.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(0)


def _open_file(path: Path) -> cv2.VideoCapture:
    if path.is_dir():
        raise SourceError(f"{path} is a folder, not a video; use the source 'images' for a folder of images")
    if not path.exists():
        raise SourceError(f"video {path} does not exist; check the path (working folder: {Path.cwd()})")
    if path.is_file() and path.stat().st_size == 0:
        raise SourceError(f"video {path} is empty (0 bytes); copy or record it again")
    if not os.access(path, os.R_OK):
        raise SourceError(f"video {path} may not be read by this user; fix it with: chmod +r {path}")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise SourceError(f"{path} cannot be decoded as a video; convert it to MP4 (H.264), MOV, MKV or GIF")
    return capture


def _open_camera(address: str, width: int | None, height: int | None, fps: float | None) -> cv2.VideoCapture:
    node = Path(f"/dev/video{address}" if address.isdigit() else address)
    if not node.exists():
        raise SourceError(f"camera {node} does not exist; {_cameras_here()}")
    capture = cv2.VideoCapture(str(node), cv2.CAP_V4L2)
    if not capture.isOpened():
        raise SourceError(
            f"camera {node} refuses to open; close other programs that use it, "
            f"check `groups` for 'video', and that it is a capture node; {_cameras_here()}"
        )
    if width and width > 640:
        # Uncompressed pictures of this size do not fit through USB 2 at full rate.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    wishes = {cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FRAME_HEIGHT: height, cv2.CAP_PROP_FPS: fps}
    for key, value in wishes.items():
        if value:
            capture.set(key, value)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def _cameras_here() -> str:
    nodes = sorted(str(node) for node in Path("/dev").glob("video*"))
    return f"use one of: {', '.join(nodes)}" if nodes else "plug one in (there is no /dev/video node now)"


def _camera_stopped(address: str, read: int) -> SourceError:
    if read == 0:
        return SourceError(f"camera {address} opens but gives no frame; try another node: {_cameras_here()}")
    return SourceError(f"camera {address} stopped after {read} frames; check its cable and power")


def _positive(count: float) -> int | None:
    return int(count) if math.isfinite(count) and 0 < count < 1e9 else None


def _rate(capture: cv2.VideoCapture) -> float:
    fps = capture.get(cv2.CAP_PROP_FPS)
    return float(fps) if math.isfinite(fps) and 0 < fps <= 1000 else _DEFAULT_FPS


def _lacks_gif_trailer(path: Path) -> bool:
    # A GIF's frame count comes from its remaining bytes, so a cut one looks complete; its last
    # block, the byte 0x3B of the GIF89a specification, is then missing.
    if path.suffix.lower() != ".gif":
        return False
    return b"\x3b" not in path.read_bytes()[-16:]
