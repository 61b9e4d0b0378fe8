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
_LONGEST_GAP_S = 3600.0  # a container time further ahead than this is garbage
_OLDEST_S = 10.0  # a frame that its driver stamped further back than this carries a stamp of another clock
# With one, the driver has nowhere to put a frame while the one before is copied, and drops it; and OpenCV
# 4.11 gives the only one back before it has copied it, so that every frame is torn. Each buffer more would
# only let a slow reader see older frames.
_BUFFERS = 2
_SIZE = (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)


class OpenCVSource(Closing):
    """Frames of a video file, every one in order, or of a camera.

    A camera is ``/dev/video0``, ``"0"``, or a link in ``/dev/v4l/by-id`` or ``by-path``. ``width``,
    ``height`` (pixels) and ``fps`` are wishes to it; what it gives instead is logged. Its frames are luma
    (H,W), taken from what it sends without a conversion, unless ``color`` asks for BGR (H,W,3) or its
    format holds no luma. One that cannot be decoded, a broken JPEG, is given as a picture of 1 x 1.
    A file keeps its size and is always BGR; ``fps`` serves only where the file carries no usable times.
    Raises SourceError where the address cannot be opened, and from ``frames`` where a camera stops.
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
        """Open ``address`` at once, so that a wrong one is known before anything else starts."""
        silence_opencv()
        self.address = address
        self.live = is_camera(address)
        self._raw: str | None = None  # format of frames that come as the camera sends them
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
        """Release the file or camera; from another thread this ends a running ``frames``."""
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
        if not self.live:
            return Frame(picture.image, container_time(picture.position_ms, last_s, self.fps), index)
        stamp_s = driver_time(picture.position_ms, last_s, picture.grabbed_s)
        if self._raw is not None:
            return luma_frame(picture._replace(grabbed_s=stamp_s), self._raw, self._size, index)
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


def container_time(position_ms: float, last_s: float | None, fps: float) -> float:
    """Seconds of a frame at ``position_ms``; one period after ``last_s`` where that is no rising time."""
    position_s = position_ms / 1000.0
    if last_s is None:
        return position_s if math.isfinite(position_s) and position_s >= 0 else 0.0
    if math.isfinite(position_s) and last_s < position_s < last_s + _LONGEST_GAP_S:
        return position_s
    return last_s + 1.0 / fps


def driver_time(position_ms: float, last_s: float | None, now_s: float) -> float:
    """CLOCK_MONOTONIC seconds of a V4L2 frame: its driver's stamp, or ``now_s`` where that cannot be right.

    OpenCV hands the stamp on as the position. Most drivers take it from the monotonic clock, when the
    frame begins or ends; some from another clock, some leave it out.
    """
    stamp_s = position_ms / 1000.0
    recent = now_s - _OLDEST_S < stamp_s <= now_s  # never of a NaN
    return stamp_s if recent and (last_s is None or stamp_s > last_s) else now_s


def is_short(read: int, promised: int) -> bool:
    """Whether ``read`` frames are clearly fewer than the header promised.

    The header's count is often duration times rate: whole clips miss up to 3 frames or 3 percent.
    """
    return promised - read > max(2.0, 0.05 * promised)


def _open_file(path: Path) -> cv2.VideoCapture:
    if path.is_dir():
        raise SourceError(f"{path} is a folder, not a video; name a video file")
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


def _open_camera(
    address: str, width: int | None, height: int | None, fps: float | None, color: bool
) -> cv2.VideoCapture:
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
    if codec is None and not color:
        # Where a driver offers BGR, OpenCV takes that before anything that holds luma.
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
            f"camera {node} sends rows of {row} bytes, padded, which OpenCV shows as a skewed picture; set "
            f"source.width and source.height to another mode: v4l2-ctl -d {node} --list-formats-ext"
        )
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


def _lacks_gif_trailer(path: Path) -> bool:
    # A GIF's frame count comes from its remaining bytes, so a cut one looks complete; its last
    # block, the byte 0x3B of the GIF89a specification, is then missing.
    if path.suffix.lower() != ".gif":
        return False
    return b"\x3b" not in path.read_bytes()[-16:]
