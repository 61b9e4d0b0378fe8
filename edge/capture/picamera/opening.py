"""Loads picamera2 and opens a camera; every failure becomes a one-line error with a fix."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from types import ModuleType
from typing import Any

from edge.errors import DependencyError, SourceError, require

HINT = "sudo apt install python3-picamera2, in a venv with --system-site-packages"


def number_in(address: str) -> int:
    """The camera's number in ``picam://0``; SourceError if there is none."""
    match = re.fullmatch(r"picam://([0-9]{1,4})", address)
    if match is None:
        raise SourceError(f"{address} is not a Raspberry Pi camera; write its number, as in picam://0")
    return int(match[1])


def load() -> ModuleType:
    """The module picamera2; DependencyError if it is missing or its import fails."""
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:WARN")  # read once, when the library is loaded
    try:
        return require("picamera2", HINT)
    except DependencyError:
        raise
    except Exception as error:  # ValueError if the venv's numpy does not match the board's picamera2
        raise DependencyError(
            f"picamera2 fails to import ({cause(error)}); "
            "use the board's own numpy instead of the venv's: pip uninstall numpy"
        ) from error


def opened(library: ModuleType, address: str, number: int) -> Any:
    """An open Picamera2, which the caller must close; SourceError if the camera cannot be opened."""
    try:
        cameras = library.Picamera2.global_camera_info()
    except Exception as error:
        raise _refused(address, error) from error
    if number >= len(cameras):
        raise SourceError(f"camera {address} does not exist; {_available(cameras)}")
    # In two steps, because a constructor that fails leaves the write end of its pipe open. A source that
    # waits for a busy camera is opened thousands of times.
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
    reason = cause(error)
    if "busy" in reason.lower():
        return SourceError(f"camera {address} is in use ({reason}); stop the other program that uses it")
    return SourceError(
        f"camera {address} cannot be opened: {reason}; "
        "check its ribbon cable, `rpicam-hello --list-cameras`, and `groups` for 'video'"
    )


def _available(cameras: list[dict[str, Any]]) -> str:
    if not cameras:
        return "none found: check the ribbon cable with the power off, then `rpicam-hello --list-cameras`"
    return "use one of: " + ", ".join(f"picam://{i} ({c.get('Model', '?')})" for i, c in enumerate(cameras))


def cause(error: BaseException) -> str:
    """The library's original error message, on one line: it wraps an error two or three times."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__
