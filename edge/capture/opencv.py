"""Video files and V4L2 cameras through OpenCV."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from pathlib import Path

import cv2

from edge.capture.addresses import is_camera
from edge.capture.cv_capture import GuardedCapture, nominal_fps, report_mode, silence_opencv
from edge.capture.raw_frames import luma_frame, padded_row, unconverted
from edge.data import Frame
from edge.errors import SourceError
from edge.system.closing import Closing

_log = logging.getLogger(__name__)
_LONGEST_GAP_S = 3600.0  # a container time that jumps ahead by more than this is garbage
_OLDEST_S = 10.0  # a driver's timestamp older than this comes from another clock
# With a single buffer, the driver drops a frame that arrives while the previous one is copied. OpenCV 4.11
# also returns the buffer before it has copied it, so that every frame is torn. More than two would only let a
# slow reader see older frames.
_BUFFERS = 2
_SIZE = (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)


class OpenCVSource(Closing):
    """Frames of a video file, every one in order, or of a camera.

    A camera is ``/dev/video0``, ``"0"``, or a link in ``/dev/v4l/by-id`` or ``by-path``. ``width``,
    ``height`` (pixels) and ``fps`` are requests; the log names what it delivers instead. Its frames are luma
    (H,W), taken from its data without conversion, unless ``color`` asks for BGR (H,W,3) or its format has no
    luma plane. A frame that cannot be decoded, such as a broken JPEG, is yielded as a 1 x 1 picture.
    A file keeps its size and is always BGR; ``fps`` is used only if the file has no usable timestamps.
    Raises SourceError if the address cannot be opened, and from ``frames`` if a camera stops.
    """

    def __init__(
        self,
        address: str,
        width: int | None = None,
        height: int | None = None,
        fps: float | None = None,
        *,
        color: bool = False,
    ) -> None:
        """Open ``address`` immediately, so that a wrong one fails before anything else starts."""
        silence_opencv()
        self.address = address
        self.live = is_camera(address)
        self._raw: str | None = None  # format of frames that OpenCV does not convert
        if self.live:
            capture = _open_camera(address, width, height, fps, color)
            self._raw = None if color else unconverted(capture)
            height_px, width_px = (capture.get(key) for key in _SIZE)
            self._size = int(height_px), int(width_px)
            self.frame_count: int | None = None
        else:
            capture = _open_file(Path(address))
            self.frame_count = _positive(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.fps = fps or nominal_fps(capture)  # frames per second
        self._capture = GuardedCapture(capture)

    def close(self) -> None:
        """Release the file or camera; a call from another thread ends a running ``frames``."""
        self._capture.close()

    def frames(self) -> Iterator[Frame]:
        """Yield frames; a file ends after its last one, a camera runs until closed."""
        if self._capture.closed:
            raise SourceError(f"{self.address} is already closed; open a new source to read it again")
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
        if not self.live:
            return Frame(picture.image, container_time(picture.position_ms, last_s, self.fps), index)
        stamp_s = driver_time(picture.position_ms, last_s, picture.grabbed_s)
        if self._raw is not None:
            return luma_frame(picture._replace(grabbed_s=stamp_s), self._raw, self._size, index)
        return Frame(picture.image, stamp_s, index)

    def _check_end(self, read: int, last_s: float | None) -> None:
        if read == 0:
            raise SourceError(
                f"{self.address} has no decodable frame; check it with another player or copy it again"
            )
        promised = self.frame_count or 0
        if is_short(read, promised) or _lacks_gif_trailer(Path(self.address)):
            total = f" of {promised}" if promised > read else ""
            _log.warning("%s is truncated after frame %d%s (%.2f s)", self.address, read, total, last_s)


def container_time(position_ms: float, last_s: float | None, fps: float) -> float:
    """Seconds of a frame at ``position_ms``; ``last_s`` plus one period if that does not increase."""
    position_s = position_ms / 1000.0
    if last_s is None:
        return position_s if math.isfinite(position_s) and position_s >= 0 else 0.0
    if math.isfinite(position_s) and last_s < position_s < last_s + _LONGEST_GAP_S:
        return position_s
    return last_s + 1.0 / fps


def driver_time(position_ms: float, last_s: float | None, now_s: float) -> float:
    """CLOCK_MONOTONIC seconds of a V4L2 frame: the driver's timestamp, or ``now_s`` if that is implausible.

    OpenCV passes the timestamp on as the position. Most drivers take it from the monotonic clock, when the
    frame starts or ends; some use another clock, some leave it out.
    """
    stamp_s = position_ms / 1000.0
    recent = now_s - _OLDEST_S < stamp_s <= now_s  # False for NaN
    return stamp_s if recent and (last_s is None or stamp_s > last_s) else now_s


def is_short(read: int, promised: int) -> bool:
    """Whether ``read`` frames are clearly fewer than the header promised.

    The header's count is often duration times rate: intact clips miss up to 3 frames or 3 percent.
    """
    return promised - read > max(2.0, 0.05 * promised)


def _open_file(path: Path) -> cv2.VideoCapture:
    if path.is_dir():
        raise SourceError(f"{path} is a folder, not a video; give a video file")
    if not path.exists():
        raise SourceError(f"video {path} does not exist; check the path (working folder: {Path.cwd()})")
    if path.is_file() and path.stat().st_size == 0:
        raise SourceError(f"video {path} is empty (0 bytes); copy or record it again")
    if not os.access(path, os.R_OK):
        raise SourceError(f"video {path} is not readable by this user; run: chmod +r {path}")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise SourceError(f"{path} cannot be decoded as a video; convert it to MP4 (H.264), MOV, MKV or GIF")
    return capture


def _open_camera(
    address: str, width: int | None, height: int | None, fps: float | None, color: bool
) -> cv2.VideoCapture:
    node = Path(f"/dev/video{address}" if address.isdigit() else address)
    if not node.exists():
        raise SourceError(f"camera {node} does not exist; {_available_cameras()}")
    capture = cv2.VideoCapture(str(node), cv2.CAP_V4L2)
    if not capture.isOpened():
        raise SourceError(
            f"camera {node} cannot be opened; close other programs that use it, "
            f"check `groups` for 'video', and that it is a capture node; {_available_cameras()}"
        )
    # Uncompressed frames wider than this exceed the bandwidth of USB 2 at full rate.
    codec = cv2.VideoWriter.fourcc(*"MJPG") if width and width > 640 else None
    if codec is None and not color:
        # OpenCV prefers BGR, if the driver offers it, to any format with luma.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"YUYV"))
    wishes = {
        cv2.CAP_PROP_FOURCC: codec,
        cv2.CAP_PROP_FRAME_WIDTH: width,
        cv2.CAP_PROP_FRAME_HEIGHT: height,
        cv2.CAP_PROP_FPS: fps,
    }
    for key, value in wishes.items():
        if value:
            capture.set(key, value)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, _BUFFERS)
    report_mode(f"camera {node}", capture, wishes, f"list its modes: v4l2-ctl -d {node} --list-formats-ext")
    if (row := padded_row(node, capture)) is not None:
        capture.release()
        raise SourceError(
            f"camera {node} pads its rows to {row} bytes, which OpenCV turns into a skewed picture; set "
            f"source.width and source.height to another mode: v4l2-ctl -d {node} --list-formats-ext"
        )
    return capture


def _available_cameras() -> str:
    nodes = sorted(str(node) for node in Path("/dev").glob("video*"))
    return f"use one of: {', '.join(nodes)}" if nodes else "plug one in (there is no /dev/video node)"


def _camera_stopped(address: str, read: int) -> SourceError:
    if read == 0:
        fix = f"try another node: {_available_cameras()}"
        return SourceError(f"camera {address} opens but delivers no frame; {fix}")
    return SourceError(f"camera {address} stopped after {read} frames; check its cable and power")


def _positive(count: float) -> int | None:
    return int(count) if math.isfinite(count) and 0 < count < 1e9 else None


def _lacks_gif_trailer(path: Path) -> bool:
    # A GIF's frame count is computed from its bytes, so a truncated file seems complete. But its trailer is
    # missing (the byte 0x3B of the GIF89a specification).
    if path.suffix.lower() != ".gif":
        return False
    return b"\x3b" not in path.read_bytes()[-16:]
