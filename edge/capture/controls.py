"""Exposure, gain and mains frequency of a camera, for each of the libraries that can set them.

What a camera lacks costs one warning. What is not set stays as the camera has it: a V4L2 driver keeps the
values of the program before, until somebody sets others.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.config import SourceConfig
from edge.errors import SourceError

_log = logging.getLogger(__name__)
# linux/videodev2.h and linux/v4l2-controls.h: VIDIOC_S_CTRL takes struct v4l2_control, an id and a value.
_SET = 0xC008561C
_GAIN, _AUTO_GAIN, _MAINS = 0x00980913, 0x00980912, 0x00980918
_EXPOSURE_MODE, _EXPOSURE = 0x009A0901, 0x009A0902
_AUTO, _MANUAL, _APERTURE = 0, 1, 3  # V4L2_EXPOSURE_*; UVC cameras know APERTURE as their automatic mode
_STEPS_PER_MS = 10  # V4L2_CID_EXPOSURE_ABSOLUTE counts 100 µs
_V4L2_MAINS = {0: 0, 50: 1, 60: 2}
_ARGUS_MAINS = {0: 0, 50: 2, 60: 3}  # aeantibanding of nvarguscamerasrc


@dataclass(frozen=True)
class Controls:
    """What is asked of a camera; None leaves it as it is."""

    exposure: float | str | None = None  # milliseconds, or "auto"
    gain: float | None = None  # a factor; in V4L2 the driver's own number
    mains_hz: int | None = None  # 50 or 60 against flicker; 0: nothing is done against it

    @classmethod
    def of(cls, settings: SourceConfig) -> Controls:
        """Those in [source]."""
        return cls(settings.exposure, settings.gain, settings.mains_hz)

    def names(self) -> list[str]:
        """The settings that are set."""
        return [f"source.{name}" for name, value in vars(self).items() if value is not None]


def missing(camera: str, name: str, remedy: str = "leave it out") -> None:
    """Warn that ``camera`` has no control for the setting ``name``."""
    _log.warning("%s has no control for %s, which is ignored; %s", camera, name, remedy)


def set_v4l2(node: Path, controls: Controls) -> None:
    """Set the controls of the V4L2 camera ``node``, which may be streaming; SourceError if it cannot be."""
    if not controls.names():
        return
    try:
        camera = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SourceError(
            f"camera {node} cannot be opened to set {', '.join(controls.names())} ({error.strerror}); "
            "check the camera, or leave them out"
        ) from error
    try:
        for name, attempts in _v4l2(controls):
            if not any(_is_set(camera, node, name, attempt) for attempt in attempts):
                missing(f"camera {node}", name, f"list what it has: v4l2-ctl -d {node} --list-ctrls")
    finally:
        os.close(camera)


_Values = list[tuple[int, int]]  # control and value, in the order in which they are set


def _v4l2(controls: Controls) -> Iterator[tuple[str, list[_Values]]]:
    """Each setting with the ways to set it, of which the first that the driver takes is enough."""
    if controls.mains_hz is not None:
        yield "source.mains_hz", [[(_MAINS, _V4L2_MAINS[controls.mains_hz])]]
    if controls.exposure == "auto":
        yield "source.exposure", [[(_EXPOSURE_MODE, _APERTURE)], [(_EXPOSURE_MODE, _AUTO)]]
    elif isinstance(controls.exposure, float):
        steps = (_EXPOSURE, max(1, round(controls.exposure * _STEPS_PER_MS)))
        yield "source.exposure", [[(_EXPOSURE_MODE, _MANUAL), steps], [steps]]
    if controls.gain is not None:
        gain = (_GAIN, round(controls.gain))
        yield "source.gain", [[(_AUTO_GAIN, 0), gain], [gain]]


def _is_set(camera: int, node: Path, name: str, values: _Values) -> bool:
    """Whether the driver knows all of these controls; a value that it refuses is a warning of its own."""
    for control, value in values:
        try:
            fcntl.ioctl(camera, _SET, struct.pack("Ii", control, value))
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOTTY):  # no such control, or not this choice
                return False
            _log.warning("camera %s refuses %s (%s)", node, name, error.strerror)
    return True


def libcamera(camera: str, controls: Controls, known: Container[str]) -> dict[str, Any]:
    """Controls for libcamera; ``known`` are those that the camera has."""
    values: dict[str, Any] = {}

    def put(setting: str, wished: dict[str, Any], if_known: dict[str, Any] | None = None) -> None:
        if all(name in known for name in wished):
            values.update(wished)
            values.update({name: value for name, value in (if_known or {}).items() if name in known})
        else:
            missing(f"camera {camera}", setting)

    if controls.exposure == "auto":
        put("source.exposure", {"AeEnable": True})
    elif isinstance(controls.exposure, float):
        # Since libcamera 0.5 a time counts only in the manual mode (1); before, it counts by itself.
        put("source.exposure", {"ExposureTime": round(1e3 * controls.exposure)}, {"ExposureTimeMode": 1})
    if controls.gain is not None:
        put("source.gain", {"AnalogueGain": controls.gain}, {"AnalogueGainMode": 1})
    if {"ExposureTime", "AnalogueGain"} <= set(values) and "AeEnable" in known:
        values["AeEnable"] = False
    if controls.mains_hz:
        # A lamp flickers twice in a period of the mains; microseconds.
        period_us = round(1e6 / (2 * controls.mains_hz))
        put("source.mains_hz", {"AeFlickerMode": 1, "AeFlickerPeriod": period_us})
    elif controls.mains_hz == 0:
        put("source.mains_hz", {"AeFlickerMode": 0})
    return values


def argus(controls: Controls) -> str:
    """Properties of nvarguscamerasrc in gst-launch syntax, with a leading space; "" without a wish."""
    words = []
    if isinstance(controls.exposure, float):
        words.append(_range("exposuretimerange", round(1e6 * controls.exposure)))  # nanoseconds
    if controls.gain is not None:
        words.append(_range("gainrange", f"{controls.gain:g}"))
    if controls.mains_hz is not None:
        words.append(f"aeantibanding={_ARGUS_MAINS[controls.mains_hz]}")
    return "".join(f" {word}" for word in words)


def _range(name: str, value: int | str) -> str:
    return f'{name}="{value} {value}"'
