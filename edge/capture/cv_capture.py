"""Helpers for cv2.VideoCapture: closing it from another thread, logging its mode, silencing OpenCV."""

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
_DEFAULT_FPS = 25.0  # for a file without a frame rate


class Picture(NamedTuple):
    """One grabbed picture."""

    image: npt.NDArray[np.uint8]  # (H,W,3) BGR, or the camera's own format if OpenCV must not convert it
    grabbed_s: float  # seconds, CLOCK_MONOTONIC, when grab() returned
    position_ms: float  # milliseconds, container time; for a V4L2 camera the driver's timestamp of the frame


class GuardedCapture:
    """An open capture that one thread reads while another may close it."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self.closed = False
        self._capture = capture
        self._lock = threading.Lock()  # release() under a running grab() would crash the process

    def read(self) -> Picture | None:
        """The next picture; None at the end, after an error and once closed."""
        with self._lock:
            if self.closed:
                return None
            grabbed = self._capture.grab()
            # The position belongs to the grabbed frame only after grab(); before, to the previous frame.
            now_s = time.monotonic()
            image = self._capture.retrieve()[1] if grabbed else None
            position_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
            if self.closed:
                self._capture.release()
                return None
        return None if image is None else Picture(np.asarray(image, np.uint8), now_s, position_ms)

    def close(self) -> None:
        """Release the capture; if it blocks in grab(), the reading thread releases it later."""
        self.closed = True
        if self._lock.acquire(timeout=0.5):
            self._capture.release()
            self._lock.release()


def report_mode(
    name: str,
    capture: cv2.VideoCapture,
    requested: Mapping[int, float | None],
    remedy: str,
) -> None:
    """Log codec, size (pixels) and rate of ``capture``; warn where they differ from those ``requested``.

    ``requested`` maps the CAP_PROP of codec, width, height and rate to a value; None or a missing key means
    that any value will do.
    """
    actual = {key: capture.get(key) for key in _MODE}
    wishes = {key: value for key in _MODE if (value := requested.get(key))}
    # A camera set to 30 fps may report 29.97.
    missed = {key: wish for key, wish in wishes.items() if not math.isclose(actual[key], wish, rel_tol=0.005)}
    _log.info("%s delivers %s; requested %s", name, _mode_text(actual), _mode_text(wishes))
    if missed:
        instead = _mode_text({key: actual[key] for key in missed})
        _log.warning("%s delivers %s instead of %s; %s", name, instead, _mode_text(missed), remedy)


def _mode_text(mode: Mapping[int, float]) -> str:
    """``MJPG, width 1280, height 720, 30 fps``, for the keys present in ``mode``."""
    return ", ".join(_MODE[key](value) for key, value in mode.items()) or "nothing in particular"


def codec_name(code: float) -> str:
    """The four characters of a codec number; the number in hexadecimal if they cannot be printed."""
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
    """Keep OpenCV and FFmpeg from writing to standard error, unless the environment asks for it."""
    # FFmpeg reads its variable once, at the first open in this process. A value set by the user is kept.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        log_level_setter(cv2)(0)


def log_level_setter(library: ModuleType) -> Callable[[int], Any]:
    """The function that sets OpenCV's log level; OpenCV 4.13 moved it."""
    return getattr(library, "setLogLevel", None) or library.utils.logging.setLogLevel


def nominal_fps(capture: cv2.VideoCapture) -> float:
    """Frames per second reported by ``capture``; 25 if that is not plausible."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return float(fps) if math.isfinite(fps) and 0 < fps <= 1000 else _DEFAULT_FPS
