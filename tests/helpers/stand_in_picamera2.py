"""A stand-in for picamera2: its names and signatures, over a camera whose frames and faults tests choose.

``functions`` lists what tests/boards compares with the real library. Frame i of the camera has the luma
40 + i % 200 in each of its streams; the padding of their rows and their color planes are 255, which no image
may show.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from enum import Enum
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np


class Range(Enum):
    """libcamera.ColorSpace.Range."""

    Full = 0
    Limited = 1


@dataclass
class Hardware:
    """The board behind the library."""

    models: tuple[str, ...] = ("imx708",)
    busy: bool = False
    silent: bool = False  # no frame comes any more
    late: bool = False  # a frame comes in the moment in which its job is cancelled
    fault: Exception | None = None  # raised instead of giving a frame
    start_fault: Exception | None = None
    streams: int = 2  # that the camera can give at a time
    format: str | None = None  # given instead of the one that was asked for, in each stream
    size: tuple[int, int] | None = None
    padding: int = 32  # bytes at the end of each row
    color_space: Any = field(default_factory=lambda: SimpleNamespace(range=Range.Full))  # of YUV streams
    controls: dict[str, Any] = field(default_factory=lambda: {"FrameDurationLimits": (100, 83333, None)})
    stamps: Iterator[int | None] | None = None  # SensorTimestamp of each frame; else the present
    frames: int = 0
    lent: set[Any] = field(default_factory=set)  # requests that nobody has released
    open: int = 0  # cameras that nobody has closed
    configured: list[dict[str, Any]] = field(default_factory=list)


class Job:
    """A frame to come."""

    def __init__(self) -> None:
        self._future: Future[Any] = Future()

    def get_result(self, timeout=None):
        return self._future.result(timeout)


class CompletedRequest:
    """A frame in the camera's memory."""

    def __init__(self, hardware: Hardware, config: dict[str, Any]) -> None:
        self._hardware = hardware
        luma = 40 + hardware.frames % 200
        self._memory = {name: bytearray(_picture(config[name], luma)) for name in _streams(config)}
        stamps = hardware.stamps
        stamp_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) if stamps is None else next(stamps)
        self._metadata = {} if stamp_ns is None else {"SensorTimestamp": stamp_ns}
        hardware.frames += 1
        hardware.lent.add(self)

    def release(self):
        self._hardware.lent.remove(self)  # KeyError where it is released twice

    def get_metadata(self):
        return dict(self._metadata)


class MappedArray:
    """Lends the memory of a request as a flat array."""

    def __init__(self, request, stream, reshape=True, write=True):
        assert not reshape, "only flat arrays are stood in for"
        assert not write, "the camera's memory is only read"
        assert request in request._hardware.lent, "the request is released already"
        self._memory = request._memory[stream]

    def __enter__(self):
        self.array = np.frombuffer(self._memory, np.uint8)
        return self

    def __exit__(self, exc_type, exc_value, exc_traceback):
        del self.array
        self._memory.clear()  # BufferError where a view of it is still held, as unmapping would raise


class LibcameraCamera:
    """What lies beneath a Picamera2."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware

    def generate_configuration(self, roles):
        assert all(role == "viewfinder" for role in roles)
        return SimpleNamespace(size=min(len(roles), self._hardware.streams))


class LibcameraConfiguration:
    """What libcamera made of the streams."""

    def __init__(self, hardware: Hardware, config: dict[str, Any]) -> None:
        self._hardware, self._streams = hardware, [config[name] for name in _streams(config)]

    def at(self, index):
        color = self._streams[index]["format"] == "RGB888"
        return SimpleNamespace(
            color_space=SimpleNamespace(range=Range.Full) if color else self._hardware.color_space
        )


class Picamera2:
    """One camera."""

    hardware = Hardware()

    @classmethod
    def global_camera_info(cls):
        return [{"Model": model, "Num": i} for i, model in enumerate(cls.hardware.models)]

    def __init__(self, camera_num=0, verbose_console=None, tuning=None, allocator=None):
        read, self.notifyme_w = os.pipe2(os.O_NONBLOCK)
        self.notifymeread = os.fdopen(read, "rb")
        self._is_open = False
        if self.hardware.busy or self.hardware.open:
            error = RuntimeError("Failed to acquire camera: Device or resource busy")
            raise RuntimeError("Camera __init__ sequence did not complete.") from error
        self._is_open = True
        self.hardware.open += 1
        self.sensor_resolution = (4608, 2592)
        self.camera_controls = self.hardware.controls
        self.camera = LibcameraCamera(self.hardware)
        self.main_index, self.lores_index = 0, -1
        self._lock = threading.Lock()
        self._jobs: list[Job] = []

    def create_preview_configuration(
        self,
        main=None,
        lores=None,
        raw="as large as main",
        transform=None,
        colour_space=None,
        buffer_count=4,
        controls=None,
        display="main",
        encode="main",
        queue=True,
        sensor=None,
        use_case="preview",
    ):
        lores = dict(lores) if lores else None
        return {"main": dict(main or {}), "lores": lores, "raw": raw, "sensor": sensor, "controls": controls}

    def configure(self, camera_config=None):
        given = dict(camera_config)
        assert len(_streams(given)) <= self.hardware.streams, "the real library dies of this"
        for name in _streams(given):
            given[name] = _given(self.hardware, camera_config[name])
        sides = zip((given["lores"] or given["main"])["size"], given["main"]["size"], strict=True)
        assert all(small <= large for small, large in sides), "lores may not exceed main"
        self.lores_index = 1 if given["lores"] else -1
        self.libcamera_config = LibcameraConfiguration(self.hardware, given)
        self._config = given
        self.hardware.configured.append(given)

    def camera_configuration(self):
        return self._config

    def start(self, config=None, show_preview=False):
        if self.hardware.start_fault:
            raise self.hardware.start_fault

    def capture_request(self, wait=None, signal_function=None, flush=None):
        assert wait is False, "a wait with a time limit leaves a job behind that takes a frame for nobody"
        job = Job()
        if self.hardware.fault:
            job._future.set_exception(self.hardware.fault)
        elif self.hardware.silent:
            with self._lock:
                self._jobs.append(job)
        else:
            job._future.set_result(CompletedRequest(self.hardware, self._config))
        return job

    def cancel_all_and_flush(self):
        with self._lock:
            jobs, self._jobs = self._jobs, []
        for job in jobs:
            if self.hardware.late:
                job._future.set_result(CompletedRequest(self.hardware, self._config))
            else:
                job._future.set_exception(CancelledError())

    def close(self):
        if not self._is_open:
            return
        assert not self._jobs, "closed while a job waits for a frame: nobody would ever hear of it"
        assert not self.hardware.lent, "closed while a frame is lent"
        self._is_open = False
        self.hardware.open -= 1
        self.notifymeread.close()
        os.close(self.notifyme_w)


def functions() -> list[tuple[str, str, Any]]:
    """Class, name and function of all that the real library has as well."""
    own = {(CompletedRequest, "__init__"), (Job, "__init__")}  # only the library calls these
    return [
        (kind.__name__, name, getattr(kind, name))
        for kind in (Picamera2, MappedArray, Job, CompletedRequest)
        for name, value in vars(kind).items()
        if (callable(value) or isinstance(value, (staticmethod, classmethod))) and (kind, name) not in own
    ]


def install(monkeypatch, **settings: Any) -> Hardware:
    """Let ``import picamera2`` find the stand-in, over a camera with these settings."""
    module = ModuleType("picamera2")
    hardware = Hardware(**settings)
    module.Picamera2 = type("Picamera2", (Picamera2,), {"hardware": hardware})
    module.MappedArray = MappedArray
    monkeypatch.setitem(sys.modules, "picamera2", module)
    libcamera = ModuleType("libcamera")
    libcamera.StreamRole = SimpleNamespace(Viewfinder="viewfinder")
    monkeypatch.setitem(sys.modules, "libcamera", libcamera)
    return hardware


def _given(hardware: Hardware, asked: dict[str, Any]) -> dict[str, Any]:
    width, height = hardware.size or asked["size"]
    width, height = width - width % 2, height - height % 2
    format_ = hardware.format or asked["format"]
    stride = width * (3 if format_ == "RGB888" else 1) + hardware.padding
    return {"format": format_, "size": (width, height), "stride": stride}


def _streams(config: dict[str, Any]) -> list[str]:
    return [name for name in ("main", "lores") if config[name] is not None]


def _picture(stream: dict[str, Any], value: int) -> bytes:
    (width, height), stride = stream["size"], stream["stride"]
    if stream["format"] == "RGB888":
        row = bytes((value, value + 1, value + 2)) * width  # blue, green, red
        return (row + b"\xff" * (stride - 3 * width)) * height
    row = bytes((value,)) * width + b"\xff" * (stride - width)
    return row * height + b"\xff" * (stride * height // 2)


def first(source):
    """The first frame of ``source``, which is closed afterwards."""
    with source:
        return next(source.frames())
