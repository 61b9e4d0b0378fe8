"""Streams of a Raspberry Pi camera: requesting them, checking them, and copying their pictures."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edge.capture.picamera.opening import HINT
from edge.errors import SourceError, require

_log = logging.getLogger(__name__)
LUMA, BGR = "YUV420", "RGB888"  # formats to request; libcamera's RGB888 has the byte order B, G, R
LUMA_FIRST = ("YUV420", "YVU420", "NV12", "NV21")  # formats whose memory starts with the luma plane
MAX_LUMA_WIDTH = 640  # pixels, beside a picture to draw on; large enough for the faces of kiosk visitors

Size = tuple[int, int]
Requested = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream as configured by libcamera."""

    name: str  # picamera2's: main, or lores for the small one
    format: str
    width: int  # pixels
    height: int
    stride: int  # bytes from row to row
    luma_range: Literal["full", "limited"]

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.format}"

    def copy(self, library: ModuleType, request: Any) -> npt.NDArray[np.uint8]:
        """The luma plane (H,W), or BGR (H,W,3), of a request that has not been released."""
        # MappedArray exposes the camera's memory, so copy() is the only copy, and of luma alone;
        # make_buffer() would also copy the color planes and the padding.
        gray = self.format in LUMA_FIRST
        row, shape = self.width if gray else self.width * 3, (self.height, self.stride)
        with library.MappedArray(request, self.name, reshape=False, write=False) as mapped:
            # Keep no reference to a view: memory that is still referenced cannot be unmapped.
            image = mapped.array[: self.height * self.stride].reshape(shape)[:, :row].copy()
        return image if gray else image.reshape(self.height, self.width, 3)


def request(camera: Any, size: Size, color: bool, draw: bool) -> Requested:
    """Streams to request: luma or BGR; with ``draw``, BGR and a small luma stream for the network."""
    if not draw or color or not _gives_two(camera):
        return {"main": {"size": size, "format": BGR if color or draw else LUMA}}
    return {"main": {"size": size, "format": BGR}, "lores": {"size": small(size), "format": LUMA}}


def small(size: Size) -> Size:
    """Size of the small stream beside one of ``size`` pixels: even sides, same aspect ratio, never larger."""
    width, height = size[0] // 2 * 2, size[1] // 2 * 2  # as picamera2 rounds the large stream
    narrow = min(width, MAX_LUMA_WIDTH)
    return narrow, max(height * narrow // width // 2 * 2, 2)


def configured(camera: Any, address: str, requested: Requested) -> dict[str, Stream]:
    """The streams of a configured camera, by name; SourceError for an unusable format."""
    configuration = camera.camera_configuration()
    streams = {name: _stream(camera, name, configuration[name]) for name in requested}
    for name, stream in streams.items():
        format_, size = requested[name]["format"], requested[name]["size"]
        if stream.format not in (LUMA_FIRST if format_ == LUMA else (format_,)):
            raise SourceError(
                f"camera {address} delivers {stream.format}, expected {format_}; "
                "use a USB camera, /dev/video0, instead"
            )
        if (stream.width, stream.height) != size:
            _log.warning("%s delivers %dx%d instead of %dx%d", address, stream.width, stream.height, *size)
    return streams


def luma_range(color_space: Any) -> Literal["full", "limited"]:
    """Luma range of a libcamera color space; full, as requested, if it names none."""
    # Full range mistaken for limited would clip; limited mistaken for full only loses some contrast.
    return "limited" if color_space is not None and color_space.range.name == "Limited" else "full"


def _stream(camera: Any, name: str, settings: dict[str, Any]) -> Stream:
    # picamera2 reports one color space for all streams, but luma beside BGR has its own.
    index = camera.lores_index if name == "lores" else camera.main_index
    space = camera.libcamera_config.at(index).color_space
    width, height = settings["size"]
    gray = settings["format"] in LUMA_FIRST
    range_ = luma_range(space) if gray else "full"
    return Stream(name, settings["format"], width, height, settings["stride"], range_)


def _gives_two(camera: Any) -> bool:
    """Whether the camera has a second stream; picamera2 does not check, and crashes if there is none."""
    roles = [require("libcamera", HINT).StreamRole.Viewfinder] * 2
    configuration = camera.camera.generate_configuration(roles)
    return configuration is not None and bool(configuration.size >= len(roles))
