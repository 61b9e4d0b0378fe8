"""Raspberry Pi cameras through picamera2, which drives libcamera."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from types import ModuleType, TracebackType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edge.data import Frame
from edge.errors import DependencyError, SourceError, require

_log = logging.getLogger(__name__)
_HINT = "sudo apt install python3-picamera2, in a venv with --system-site-packages"
_SIZE, _FPS = (640, 480), 30.0  # faces of kiosk visitors are large enough in this
_LUMA_FIRST = ("YUV420", "YVU420", "NV12", "NV21")  # formats whose memory begins with the luma plane
_POLL_S = 0.25  # how soon a waiting frames() notices that the source was closed
_HANG_S = 2.0  # how long closing waits for a reader that does not notice
_OLDEST_S = 10.0  # a frame stamped further back than this carries a stamp of another clock


class PicameraSource:
    """Frames of a libcamera camera: ``picam://0`` is the first one of ``rpicam-hello --list-cameras``.

    The image is the luma plane (H,W) of a YUV420 stream, so nothing converts colours. With ``draw`` it is
    BGR (H,W,3), which the camera's own hardware converts, for sinks that show the picture. There is one
    stream in both cases: a frame holds one picture, and a second stream would be memory nobody reads.
    ``width``, ``height`` (pixels) and ``fps`` are wishes, 640x480 at 30 by default; libcamera rounds them.
    Raises SourceError where the camera cannot be opened, and from ``frames`` where it fails;
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
        draw: bool = False,
    ) -> None:
        """Open and start the camera at once, so that a wrong address is known before anything else starts."""
        number = _number(address)
        self.address = address
        self._draw = draw
        self._closed = False
        self._lock = threading.Lock()  # held from asking for a frame to giving its buffer back
        self._library = _import()
        self._camera: Any = _open(self._library, address, number)
        try:
            self._start((width or _SIZE[0], height or _SIZE[1]), fps)
        except Exception as error:
            self._close()
            if isinstance(error, SourceError):
                raise
            raise SourceError(
                f"camera {address} does not start: {_cause(error)}; "
                "try source.width=640 and source.height=480, then reboot the board"
            ) from error

    def __enter__(self) -> PicameraSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the camera; from another thread this ends a waiting ``frames`` as well."""
        self._closed = True  # a waiting reader sees this within _POLL_S and lets go of the lock
        if not self._lock.acquire(timeout=_HANG_S):
            # Closing under a call that hangs in the library could crash the process.
            _log.warning("camera %s hangs in picamera2 and stays open; restart the program", self.address)
            return
        try:
            self._close()
        finally:
            self._lock.release()

    def frames(self) -> Iterator[Frame]:
        """Yield frames until closed; each image is a copy that belongs to the caller."""
        if self._closed:
            raise SourceError(f"{self.address} is closed already; open a new source to read it again")
        index, last_s = 0, None
        while (frame := self._next(index, last_s)) is not None:
            yield frame
            index, last_s = index + 1, frame.timestamp_s

    def _start(self, size: tuple[int, int], fps: float | None) -> None:
        camera = self._camera
        wanted = "RGB888" if self._draw else "YUV420"  # the bytes of RGB888 lie in the order B, G, R
        configuration = camera.create_preview_configuration(
            main={"size": size, "format": wanted},
            raw=None,
            # A small stream would else be cut from the middle of the sensor where it has such a mode.
            sensor={"output_size": tuple(side // 2 for side in camera.sensor_resolution)},
            controls=self._rate(fps),
        )
        camera.configure(configuration)
        given = camera.camera_configuration()
        stream = given["main"]
        if stream["format"] not in ((wanted,) if self._draw else _LUMA_FIRST):
            raise SourceError(
                f"camera {self.address} gives {stream['format']}, not {wanted}; "
                "open a USB camera as /dev/video0 instead"
            )
        if tuple(stream["size"]) != size:
            _log.warning("%s gives %dx%d instead of %dx%d", self.address, *stream["size"], *size)
        self._size, self._stride = stream["size"], stream["stride"]  # pixels; bytes from row to row
        self._luma_range = "full" if self._draw else luma_range(given["colour_space"])
        camera.start()
        _log.info(
            "%s gives %dx%d %s, %s range", self.address, *self._size, stream["format"], self._luma_range
        )

    def _rate(self, fps: float | None) -> dict[str, Any]:
        if "FrameDurationLimits" not in self._camera.camera_controls:
            if fps:
                _log.warning("%s has no control for its rate; fps=%g is ignored", self.address, fps)
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
                    image = self._copy(request)
                    stamp_s = capture_time(request.get_metadata().get("SensorTimestamp"))
                finally:
                    request.release()
            except Exception as error:
                raise SourceError(
                    f"camera {self.address} failed after {index} frames: {_cause(error)}; "
                    "check its ribbon cable and power, then start again"
                ) from error
        if last_s is not None and stamp_s <= last_s:
            stamp_s = time.monotonic()
        return Frame(image, stamp_s, index, self._luma_range)

    def _request(self) -> Any:
        """The next frame's request, which must be released; None once the source is closed."""
        # Not capture_request(wait=seconds): when its time is out, its job still takes a frame, for nobody.
        job = self._camera.capture_request(wait=False)
        request = None
        try:
            while request is None and not self._closed:
                with suppress(NotYet):
                    request = job.get_result(timeout=_POLL_S)
        finally:
            if request is None:
                self._call_off(job)
        return request

    def _call_off(self, job: Any) -> None:
        self._camera.cancel_all_and_flush()
        with suppress(Exception):  # cancelled; or it was faster and has a frame to give back
            job.get_result(timeout=_POLL_S).release()

    def _copy(self, request: Any) -> npt.NDArray[np.uint8]:
        # MappedArray lends the camera's memory, so copy() is the only copy, and one of luma alone;
        # make_buffer() is one copy too, but of the colour planes and the padding as well.
        (width, height), stride = self._size, self._stride
        row = width * 3 if self._draw else width
        with self._library.MappedArray(request, "main", reshape=False, write=False) as mapped:
            # No view gets a name: memory that is still referred to cannot be unmapped.
            image = mapped.array[: height * stride].reshape(height, stride)[:, :row].copy()
        return image.reshape(height, width, 3) if self._draw else image

    def _close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is None:
            return
        try:
            camera.close()
        except Exception as error:
            _log.warning("camera %s did not close cleanly: %s", self.address, _cause(error))


def capture_time(sensor_ns: int | None) -> float:
    """CLOCK_MONOTONIC seconds of a CLOCK_BOOTTIME stamp in nanoseconds; now, where it cannot be right.

    libcamera documents the boot-time clock, which runs on while a machine sleeps; some of its drivers
    stamp with the monotonic one. Both are the same on a board that never sleeps.
    """
    now_s = time.monotonic()
    if not sensor_ns:
        return now_s
    asleep_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    stamp_s = (sensor_ns - asleep_ns) / 1e9
    return stamp_s if now_s - _OLDEST_S < stamp_s <= now_s else now_s


def luma_range(colour_space: Any) -> Literal["full", "limited"]:
    """Range of luma in a libcamera colour space; the full one, which was asked for, where it names none."""
    # Full range taken for limited would be clipped; limited taken for full only loses some contrast.
    return "limited" if colour_space is not None and colour_space.range.name == "Limited" else "full"


def _number(address: str) -> int:
    match = re.fullmatch(r"picam://([0-9]{1,4})", address)
    if match is None:
        raise SourceError(f"{address} names no Raspberry Pi camera; write its number, as in picam://0")
    return int(match[1])


def _import() -> ModuleType:
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:WARN")  # read once, when the library is loaded
    try:
        return require("picamera2", _HINT)
    except DependencyError:
        raise
    except Exception as error:  # a numpy from a wheel does not fit the board's picamera2: ValueError
        raise DependencyError(
            f"picamera2 breaks while it is imported ({_cause(error)}); "
            "take the board's own numpy instead of the venv's: pip uninstall numpy"
        ) from error


def _open(library: ModuleType, address: str, number: int) -> Any:
    try:
        cameras = library.Picamera2.global_camera_info()
    except Exception as error:
        raise _refused(address, error) from error
    if number >= len(cameras):
        raise SourceError(f"camera {address} does not exist; {_cameras_here(cameras)}")
    # Made in two steps: a constructor that fails leaves the writing end of its pipe open, and a source
    # that waits for a busy camera is opened thousands of times.
    camera = library.Picamera2.__new__(library.Picamera2)
    try:
        camera.__init__(number)
    except Exception as error:
        with suppress(Exception):
            camera.close()
        if not camera.notifymeread.closed:
            camera.notifymeread.close()
            os.close(camera.notifyme_w)
        raise _refused(address, error) from error
    return camera


def _refused(address: str, error: Exception) -> SourceError:
    cause = _cause(error)
    if "busy" in cause.lower():
        return SourceError(f"camera {address} is in use ({cause}); stop the other program that reads it")
    return SourceError(
        f"camera {address} cannot be opened: {cause}; "
        "check its ribbon cable, `rpicam-hello --list-cameras`, and `groups` for 'video'"
    )


def _cameras_here(cameras: list[dict[str, Any]]) -> str:
    if not cameras:
        return "none is found: check the ribbon cable with the power off, then `rpicam-hello --list-cameras`"
    return "use one of: " + ", ".join(f"picam://{i} ({c.get('Model', '?')})" for i, c in enumerate(cameras))


def _cause(error: BaseException) -> str:
    """What the library said first, on one line: it wraps an error two or three times."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__
