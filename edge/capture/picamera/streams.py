"""Which streams a Raspberry Pi camera is asked for, which it gives, and the copy of a picture of one."""

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
LUMA, BGR = "YUV420", "RGB888"  # what is asked for; the bytes of RGB888 lie in the order B, G, R
LUMA_FIRST = ("YUV420", "YVU420", "NV12", "NV21")  # formats whose memory begins with the luma plane
MOST_WIDE = 640  # pixels of luma beside a picture to draw on: faces of visitors are large enough in this

Size = tuple[int, int]
Asked = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream as libcamera gives it."""

    name: str  # picamera2's: main, or lores for the small one
    format: str
    width: int  # pixels
    height: int
    stride: int  # bytes from row to row
    luma_range: Literal["full", "limited"]

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.format}"

    def copy(self, library: ModuleType, request: Any) -> npt.NDArray[np.uint8]:
        """The luma plane (H,W), or BGR (H,W,3), of a request that nobody has released yet."""
        # MappedArray lends the camera's memory, so copy() is the only copy, and one of luma alone;
        # make_buffer() is one copy too, but of the color planes and the padding as well.
        gray = self.format in LUMA_FIRST
        row, shape = self.width if gray else self.width * 3, (self.height, self.stride)
        with library.MappedArray(request, self.name, reshape=False, write=False) as mapped:
            # No view gets a name: memory that is still referred to cannot be unmapped.
            image = mapped.array[: self.height * self.stride].reshape(shape)[:, :row].copy()
        return image if gray else image.reshape(self.height, self.width, 3)


def asked(camera: Any, size: Size, color: bool, draw: bool) -> Asked:
    """Settings of the streams: one of luma or BGR; with ``draw`` BGR and, small, the luma to work on."""
    if not draw or color or not _gives_two(camera):
        return {"main": {"size": size, "format": BGR if color or draw else LUMA}}
    return {"main": {"size": size, "format": BGR}, "lores": {"size": small(size), "format": LUMA}}


def small(size: Size) -> Size:
    """The stream beside one of ``size`` pixels: even sides, the same shape, no side longer."""
    width, height = size[0] // 2 * 2, size[1] // 2 * 2  # as picamera2 rounds the large one
    narrow = min(width, MOST_WIDE)
    return narrow, max(height * narrow // width // 2 * 2, 2)


def given(camera: Any, address: str, wanted: Asked) -> dict[str, Stream]:
    """The streams of a configured camera, by name; SourceError for a format that is of no use here."""
    configuration = camera.camera_configuration()
    streams = {name: _stream(camera, name, configuration[name]) for name in wanted}
    for name, stream in streams.items():
        format_, size = wanted[name]["format"], wanted[name]["size"]
        if stream.format not in (LUMA_FIRST if format_ == LUMA else (format_,)):
            raise SourceError(
                f"camera {address} gives {stream.format}, not {format_}; "
                "open a USB camera as /dev/video0 instead"
            )
        if (stream.width, stream.height) != size:
            _log.warning("%s gives %dx%d instead of %dx%d", address, stream.width, stream.height, *size)
    return streams


def luma_range(color_space: Any) -> Literal["full", "limited"]:
    """Range of luma in a libcamera color space; the full one, which was asked for, where it names none."""
    # Full range taken for limited would be clipped; limited taken for full only loses some contrast.
    return "limited" if color_space is not None and color_space.range.name == "Limited" else "full"


def _stream(camera: Any, name: str, about: dict[str, Any]) -> Stream:
    # picamera2 names one color space for all streams, and luma beside BGR has another one.
    index = camera.lores_index if name == "lores" else camera.main_index
    space = camera.libcamera_config.at(index).color_space
    width, height = about["size"]
    gray = about["format"] in LUMA_FIRST
    range_ = luma_range(space) if gray else "full"
    return Stream(name, about["format"], width, height, about["stride"], range_)


def _gives_two(camera: Any) -> bool:
    """Whether the camera has a second stream: picamera2 does not ask, and dies where it has none."""
    roles = [require("libcamera", HINT).StreamRole.Viewfinder] * 2
    found = camera.camera.generate_configuration(roles)
    return found is not None and bool(found.size >= len(roles))
