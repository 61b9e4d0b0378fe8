"""USB and V4L2 cameras through OpenCV."""

from __future__ import annotations

from collections.abc import Iterator

import cv2

from edge.capture.addresses import available_cameras, node_of, refuse_absent
from edge.capture.controls import Controls, set_v4l2
from edge.capture.cv_capture import GuardedCapture, nominal_fps, report_mode, silence_opencv
from edge.capture.raw_frames import is_gray, luma_frame, padded_row, unconverted
from edge.data import Frame
from edge.errors import SourceError
from edge.system.closing import Closing

_OLDEST_S = 10.0  # a driver's timestamp older than this comes from another clock
# With a single buffer, the driver drops a frame that arrives while the previous one is copied. OpenCV 4.11
# also returns the buffer before it has copied it, so that every frame is torn. More than two would only let a
# slow reader see older frames.
_BUFFERS = 2
_SIZE = (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)


class OpenCVSource(Closing):
    """Frames of a camera.

    It is ``/dev/video0``, ``"0"``, or a link in ``/dev/v4l/by-id`` or ``by-path``. ``width``, ``height``
    (pixels) and ``fps`` are requests; the log names what it delivers instead. Its frames are luma (H,W),
    taken from its data without conversion, unless ``color`` asks for BGR (H,W,3) of a camera that has color,
    or its format has no luma plane. A frame that cannot be decoded, such as a broken JPEG, is yielded as a
    1 x 1 picture. ``controls`` set its exposure.
    Raises SourceError if the camera cannot be opened, and from ``frames`` if it stops.
    """

    live = True

    def __init__(
        self,
        address: str,
        width: int | None = None,
        height: int | None = None,
        fps: float | None = None,
        *,
        color: bool = False,
        controls: Controls = Controls(),  # noqa: B008, it is frozen
    ) -> None:
        """Open ``address`` immediately, so that a wrong one fails before anything else starts."""
        silence_opencv()
        self.address = address
        self.frame_count: int | None = None
        capture = _open_camera(address, width, height, fps, color, controls)
        # Format of frames that OpenCV does not convert.
        self._raw = None if color and not is_gray(capture) else unconverted(capture)
        height_px, width_px = (capture.get(key) for key in _SIZE)
        self._size = int(height_px), int(width_px)
        self.fps = fps or nominal_fps(capture)  # frames per second
        self._capture = GuardedCapture(capture)

    def close(self) -> None:
        """Release the camera; a call from another thread ends a running ``frames``."""
        self._capture.close()

    def frames(self) -> Iterator[Frame]:
        """Yield frames until closed."""
        if self._capture.closed:
            raise SourceError(f"{self.address} is already closed; open a new source to read it again")
        index, last_s = 0, None
        while (frame := self._next(index, last_s)) is not None:
            yield frame
            index, last_s = index + 1, frame.timestamp_s
        if not self._capture.closed:
            raise _camera_stopped(self.address, index)

    def _next(self, index: int, last_s: float | None) -> Frame | None:
        picture = self._capture.read()
        if picture is None:
            return None
        stamp_s = driver_time(picture.position_ms, last_s, picture.grabbed_s)
        if self._raw is not None:
            return luma_frame(picture._replace(grabbed_s=stamp_s), self._raw, self._size, index)
        return Frame(picture.image, stamp_s, index)


def driver_time(position_ms: float, last_s: float | None, now_s: float) -> float:
    """CLOCK_MONOTONIC seconds of a V4L2 frame: the driver's timestamp, or ``now_s`` if that is implausible.

    OpenCV passes the timestamp on as the position. Most drivers take it from the monotonic clock, when the
    frame starts or ends; some use another clock, some leave it out.
    """
    stamp_s = position_ms / 1000.0
    recent = now_s - _OLDEST_S < stamp_s <= now_s  # False for NaN
    return stamp_s if recent and (last_s is None or stamp_s > last_s) else now_s


def _open_camera(
    address: str, width: int | None, height: int | None, fps: float | None, color: bool, controls: Controls
) -> cv2.VideoCapture:
    node = node_of(address)
    assert node is not None
    refuse_absent(node)
    capture = cv2.VideoCapture(str(node), cv2.CAP_V4L2)
    if not capture.isOpened():
        raise SourceError(
            f"camera {node} cannot be opened; close other programs that use it, "
            f"check `groups` for 'video', and that it is a capture node; {available_cameras()}"
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
    set_v4l2(node, controls)
    report_mode(f"camera {node}", capture, wishes, f"list its modes: v4l2-ctl -d {node} --list-formats-ext")
    if (row := padded_row(node, capture)) is not None:
        capture.release()
        raise SourceError(
            f"camera {node} pads its rows to {row} bytes, which OpenCV turns into a skewed picture; set "
            f"source.width and source.height to another mode: v4l2-ctl -d {node} --list-formats-ext"
        )
    return capture


def _camera_stopped(address: str, read: int) -> SourceError:
    if read == 0:
        fix = f"try another node: {available_cameras()}"
        return SourceError(f"camera {address} opens but delivers no frame; {fix}")
    return SourceError(f"camera {address} stopped after {read} frames; check its cable and power")
