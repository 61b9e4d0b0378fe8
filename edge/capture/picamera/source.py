"""Raspberry Pi cameras through picamera2, which drives libcamera."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.capture.controls import Controls, libcamera
from edge.capture.picamera import opening
from edge.capture.picamera import streams as picam_streams
from edge.capture.picamera.opening import cause
from edge.capture.picamera.streams import Size, Stream
from edge.data import Frame
from edge.errors import SourceError
from edge.system.closing import Closing

_log = logging.getLogger(__name__)
_SIZE, _FPS = (640, 480), 30.0  # large enough for the faces of kiosk visitors
_POLL_S = 0.25  # how soon a waiting frames() notices that the source was closed
_HANG_S = 2.0  # how long closing waits for a reader that does not notice
_OLDEST_S = 10.0  # a timestamp older than this comes from another clock


class PicameraSource(Closing):
    """Frames of a libcamera camera: ``picam://0`` is the first one of ``rpicam-hello --list-cameras``.

    The image is the luma plane (H,W) of a YUV420 stream, so no colors are converted. With ``draw`` there is a
    second stream for sinks that show the picture. ``drawn`` is then BGR (H,W,3), converted by the camera
    hardware. The image is the luma of a small stream from the same request, at most 640 pixels wide. With
    ``color``, or with ``draw`` on a camera that has only one stream, the image itself is BGR. ``width``,
    ``height`` (pixels, of ``drawn`` if there is one) and ``fps`` are requests, 640x480 at 30 by default;
    libcamera rounds them. Raises SourceError if the camera cannot be opened, and from ``frames`` if it fails;
    DependencyError without picamera2.
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
        color: bool = False,
        draw: bool = False,
        controls: Controls = Controls(),  # noqa: B008, it is frozen
        hang_s: float = _HANG_S,
    ) -> None:
        """Open and start the camera immediately, so that a wrong address fails before anything else."""
        number = opening.number_in(address)
        self.address, self._hang_s = address, hang_s
        self._closed = False
        self._lock = threading.Lock()  # held from requesting a frame to returning its buffer
        self._library = opening.load()
        self._camera: Any = opening.opened(self._library, address, number)
        try:
            size = (width or _SIZE[0], height or _SIZE[1])
            self._image, self._drawn = self._start(size, fps, color, draw, controls)
        except Exception as error:
            self._close_camera()
            if isinstance(error, SourceError):
                raise
            raise SourceError(
                f"camera {address} does not start: {cause(error)}; "
                "try source.width=640 and source.height=480, then reboot the board"
            ) from error

    def close(self) -> None:
        """Close the camera; a call from another thread also ends a waiting ``frames``."""
        self._closed = True  # a waiting reader sees this within _POLL_S and releases the lock
        if not self._lock.acquire(timeout=self._hang_s):
            # Closing during a call that hangs in the library could crash the process.
            _log.warning("camera %s hangs in picamera2 and stays open; restart the program", self.address)
            return
        try:
            self._close_camera()
        finally:
            self._lock.release()

    def frames(self) -> Iterator[Frame]:
        """Yield frames until closed; each image is a copy that belongs to the caller."""
        if self._closed:
            raise SourceError(f"{self.address} is already closed; open a new source to read it again")
        index, last_s = 0, None
        while (frame := self._next(index, last_s)) is not None:
            yield frame
            index, last_s = index + 1, frame.timestamp_s

    def _start(
        self, size: Size, fps: float | None, color: bool, draw: bool, controls: Controls
    ) -> tuple[Stream, Stream | None]:
        """Start the streams: the one for the network, and the one to draw on if it is another."""
        camera = self._camera
        requested = picam_streams.request(camera, size, color, draw)
        configuration = camera.create_preview_configuration(
            **requested,
            raw=None,
            # Otherwise a small stream could use a sensor mode that crops to the center.
            sensor={"output_size": tuple(side // 2 for side in camera.sensor_resolution)},
            controls=self._rate(fps) | libcamera(self.address, controls, camera.camera_controls),
        )
        camera.configure(configuration)
        streams = picam_streams.configured(camera, self.address, requested)
        camera.start()
        image, drawn = streams.get("lores", streams["main"]), streams["main"] if "lores" in streams else None
        suffix = f", and {drawn} to draw on" if drawn else ""
        _log.info("%s delivers %s, %s range%s", self.address, image, image.luma_range, suffix)
        return image, drawn

    def _rate(self, fps: float | None) -> dict[str, Any]:
        if "FrameDurationLimits" not in self._camera.camera_controls:
            if fps:
                _log.warning("%s has no frame rate control; fps=%g is ignored", self.address, fps)
            return {}
        period_us = round(1e6 / (fps or _FPS))
        return {"FrameDurationLimits": (period_us, period_us)}

    def _next(self, index: int, last_s: float | None) -> Frame | None:
        with self._lock:
            if self._closed:
                return None
            try:
                if (request := self._request()) is None:
                    return None
                try:
                    image, drawn = self._copies(request)
                    stamp_s = capture_time(request.get_metadata().get("SensorTimestamp"))
                finally:
                    request.release()
            except Exception as error:
                raise SourceError(
                    f"camera {self.address} failed after {index} frames: {cause(error)}; "
                    "check its ribbon cable and power, then start again"
                ) from error
        if last_s is not None and stamp_s <= last_s:
            stamp_s = time.monotonic()
        return Frame(image, stamp_s, index, self._image.luma_range, drawn)

    def _request(self) -> Any:
        """The next frame's request, which the caller must release; None once the source is closed."""
        # Not capture_request(wait=seconds): after a timeout its job would still capture a frame and leak it.
        job = self._camera.capture_request(wait=False)
        request = None
        try:
            while request is None and not self._closed:
                with suppress(NotYet):
                    request = job.get_result(timeout=_POLL_S)
        finally:
            if request is None:
                self._cancel(job)
        return request

    def _cancel(self, job: Any) -> None:
        self._camera.cancel_all_and_flush()
        with suppress(Exception):  # canceled, or it finished first and has a frame to release
            job.get_result(timeout=_POLL_S).release()

    def _copies(self, request: Any) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]:
        """Copies of both pictures of one request, which were captured together."""
        drawn = self._drawn
        image = self._image.copy(self._library, request)
        return image, None if drawn is None else drawn.copy(self._library, request)

    def _close_camera(self) -> None:
        camera, self._camera = self._camera, None
        if camera is None:
            return
        try:
            camera.close()
        except Exception as error:
            _log.warning("camera %s did not close cleanly: %s", self.address, cause(error))


def capture_time(sensor_ns: int | None, clock_ns: Callable[[int], int] = time.clock_gettime_ns) -> float:
    """CLOCK_MONOTONIC seconds of a CLOCK_BOOTTIME stamp in nanoseconds; now if it is implausible.

    libcamera documents the boot-time clock, which continues while a machine is suspended; some of its drivers
    use the monotonic clock. Both are equal on a board that is never suspended.
    """
    now_s = time.monotonic()
    if not sensor_ns:
        return now_s
    asleep_ns = clock_ns(time.CLOCK_BOOTTIME) - clock_ns(time.CLOCK_MONOTONIC)
    stamp_s = (sensor_ns - asleep_ns) / 1e9
    return stamp_s if now_s - _OLDEST_S < stamp_s <= now_s else now_s
