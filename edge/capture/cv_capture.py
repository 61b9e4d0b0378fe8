"""An open cv2.VideoCapture: read by one thread and closed by another, its mode told, its noise kept away."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

_log = logging.getLogger(__name__)
_DEFAULT_FPS = 25.0  # for a file that names no rate


class Picture(NamedTuple):
    """What one grab gave."""

    image: npt.NDArray[np.uint8]  # (H,W,3) BGR, or what the camera sent where OpenCV is to convert nothing
    grabbed_s: float  # seconds, CLOCK_MONOTONIC, when grab() returned
    position_ms: float  # milliseconds, container time; of a V4L2 camera its driver's stamp of the frame


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


def codec_name(code: float) -> str:
    """The four characters of a codec number; the number in hexadecimal where they cannot be printed."""
    number = int(code) & 0xFFFFFFFF if math.isfinite(code) else 0
    text = number.to_bytes(4, "little").decode("latin-1").rstrip(" \0")
    return text if text.isascii() and text.isalnum() else f"codec {number:#x}"


_MODE: dict[int, Callable[[float], str]] = {
    cv2.CAP_PROP_FOURCC: codec_name,
    cv2.CAP_PROP_FRAME_WIDTH: lambda value: f"width {value:g}",
    cv2.CAP_PROP_FRAME_HEIGHT: lambda value: f"height {value:g}",
    cv2.CAP_PROP_FPS: lambda value: f"{value:g} fps",
}


def silence_opencv() -> None:
    """Keep OpenCV and FFmpeg from writing to standard error, unless the user's environment asks for it."""
    # FFmpeg reads its variable once, at the first opening in this process; a user's own choice stands.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        log_level_setter(cv2)(0)


def log_level_setter(library: ModuleType) -> Callable[[int], Any]:
    """What sets OpenCV's log level: it has another place in 4.13 and later than in 4.12 and earlier."""
    return getattr(library, "setLogLevel", None) or library.utils.logging.setLogLevel


def nominal_fps(capture: cv2.VideoCapture) -> float:
    """Frames per second as ``capture`` names them; 25 where it names nothing credible."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return float(fps) if math.isfinite(fps) and 0 < fps <= 1000 else _DEFAULT_FPS
