"""Video files and V4L2 cameras through OpenCV."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import Frame
from edge.errors import SourceError

_log = logging.getLogger(__name__)
_LONGEST_GAP_S = 3600.0  # a container time further ahead than this is garbage
_DEFAULT_FPS = 25.0  # for a file that names no rate
_CAMERA_NODES = ("/dev/video", "/dev/v4l/by-id/", "/dev/v4l/by-path/")  # the latter two outlive a replugging


class OpenCVSource:
    """Frames of a video file, every one in order, or of a camera.

    A camera is ``/dev/video0``, ``"0"``, or a link in ``/dev/v4l/by-id`` or ``by-path``. ``width``,
    ``height`` (pixels) and ``fps`` are wishes to it; what it gives instead is logged.
    A file keeps its size; ``fps`` then serves only where the file carries no usable times.
    Raises SourceError where the address cannot be opened, and from ``frames`` where a camera stops.
    """

    def __init__(
        self, address: str, width: int | None = None, height: int | None = None, fps: float | None = None
    ) -> None:
        """Open ``address`` at once, so that a wrong one is known before anything else starts."""
        silence_opencv()
        self.address = address
        self.live = is_camera(address)
        if self.live:
            capture = _open_camera(address, width, height, fps)
            self.frame_count: int | None = None
        else:
            capture = _open_file(Path(address))
            self.frame_count = _positive(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.fps = fps or nominal_fps(capture)  # frames per second
        self._capture = GuardedCapture(capture)

    def __enter__(self) -> OpenCVSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._capture.close()

    def frames(self) -> Iterator[Frame]:
        """Yield frames; a file ends after its last one, a camera runs until closed."""
        if self._capture.closed:
            raise SourceError(f"{self.address} is closed already; open a new source to read it again")
        index, last_s = 0, None
        while (frame := self._next(index, last_s)) is not None:
            yield frame
            index, last_s = index + 1, frame.timestamp_s
        if self._capture.closed:
            return
        if self.live:
            raise _camera_stopped(self.address, index)
        self._check_end(index, last_s)

    def _next(self, index: int, last_s: float | None) -> Frame | None:
        picture = self._capture.read()
        if picture is None:
            return None
        stamp_s = picture.grabbed_s if self.live else container_time(picture.position_ms, last_s, self.fps)
        return Frame(picture.image, stamp_s, index)

    def _check_end(self, read: int, last_s: float | None) -> None:
        if read == 0:
            raise SourceError(
                f"{self.address} holds no decodable frame; check it with another player or copy it again"
            )
        promised = self.frame_count or 0
        if is_short(read, promised) or _lacks_gif_trailer(Path(self.address)):
            of = f" of {promised}" if promised > read else ""
            _log.warning("%s breaks off after frame %d%s (%.2f s)", self.address, read, of, last_s)


class Picture(NamedTuple):
    """What one grab gave."""

    image: npt.NDArray[np.uint8]  # (H,W,3) BGR
    grabbed_s: float  # seconds, CLOCK_MONOTONIC, when grab() returned
    position_ms: float  # milliseconds, container time


class GuardedCapture:
    """An open capture that one thread reads while another may close it."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self.closed = False
        self._capture = capture
        self._lock = threading.Lock()  # release() under a running grab() would crash the process

    def read(self) -> Picture | None:
        """The next picture; None at the end, after a fault and once closed."""
        with self._lock:
            if self.closed:
                return None
            grabbed = self._capture.grab()
            # After grab() the position is that of the grabbed frame, before it that of the one before.
            now_s = time.monotonic()
            image = self._capture.retrieve()[1] if grabbed else None
            position_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
            if self.closed:
                self._capture.release()
                return None
        return None if image is None else Picture(np.asarray(image, np.uint8), now_s, position_ms)

    def close(self) -> None:
        """Release the capture; one that blocks in grab() is released by its reading thread later."""
        self.closed = True
        if self._lock.acquire(timeout=0.5):
            self._capture.release()
            self._lock.release()


def is_camera(address: str) -> bool:
    """Whether ``address`` names a camera: a number, a ``/dev/video`` node or a stable link to one."""
    return (address.isascii() and address.isdigit()) or address.startswith(_CAMERA_NODES)


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


def report_mode(
    name: str,
    capture: cv2.VideoCapture,
    asked: Mapping[int, float | None],
    remedy: str,
) -> None:
    """Log codec, size (pixels) and rate that ``capture`` gives; warn where something else was ``asked``.

    ``asked`` maps the CAP_PROP of the codec, width, height and rate to a wish; None or a lack is no wish.
    """
    got = {key: capture.get(key) for key in _MODE}
    wishes = {key: value for key in _MODE if (value := asked.get(key))}
    # A rate of 29.97 is what a camera gives that was asked for 30.
    missed = [key for key, wish in wishes.items() if not math.isclose(got[key], wish, rel_tol=0.005)]
    _log.info("%s gives %s; asked for %s", name, _words(got), _words(wishes))
    if missed:
        wish = _words({key: wishes[key] for key in missed})
        _log.warning(
            "%s gives %s instead of %s; %s", name, _words({key: got[key] for key in missed}), wish, remedy
        )


def _words(mode: Mapping[int, float]) -> str:
    """``MJPG, width 1280, height 720, 30 fps``, as far as they are in ``mode``."""
    return ", ".join(_MODE[key](value) for key, value in mode.items()) or "nothing in particular"


def _codec(code: float) -> str:
    """The four characters of a codec number; the number in hexadecimal where they cannot be printed."""
    number = int(code) & 0xFFFFFFFF if math.isfinite(code) else 0
    text = number.to_bytes(4, "little").decode("latin-1").rstrip(" \0")
    return text if text.isascii() and text.isalnum() else f"codec {number:#x}"


_MODE: dict[int, Callable[[float], str]] = {
    cv2.CAP_PROP_FOURCC: _codec,
    cv2.CAP_PROP_FRAME_WIDTH: lambda value: f"width {value:g}",
    cv2.CAP_PROP_FRAME_HEIGHT: lambda value: f"height {value:g}",
    cv2.CAP_PROP_FPS: lambda value: f"{value:g} fps",
}


def silence_opencv() -> None:
    """Keep OpenCV and FFmpeg from writing to standard error, unless the user's environment asks for it."""
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
    # Uncompressed pictures wider than this do not fit through USB 2 at full rate.
    codec = cv2.VideoWriter.fourcc(*"MJPG") if width and width > 640 else None
    wishes = {
        cv2.CAP_PROP_FOURCC: codec,
        cv2.CAP_PROP_FRAME_WIDTH: width,
        cv2.CAP_PROP_FRAME_HEIGHT: height,
        cv2.CAP_PROP_FPS: fps,
    }
    for key, value in wishes.items():
        if value:
            capture.set(key, value)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    report_mode(f"camera {node}", capture, wishes, f"list its modes: v4l2-ctl -d {node} --list-formats-ext")
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


def nominal_fps(capture: cv2.VideoCapture) -> float:
    """Frames per second as ``capture`` names them; 25 where it names nothing credible."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return float(fps) if math.isfinite(fps) and 0 < fps <= 1000 else _DEFAULT_FPS


def _lacks_gif_trailer(path: Path) -> bool:
    # A GIF's frame count comes from its remaining bytes, so a cut one looks complete; its last
    # block, the byte 0x3B of the GIF89a specification, is then missing.
    if path.suffix.lower() != ".gif":
        return False
    return b"\x3b" not in path.read_bytes()[-16:]
