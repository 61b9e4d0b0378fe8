"""The table of sources, and the choice of one by address."""

from __future__ import annotations

import os
from dataclasses import dataclass

from edge.capture.addresses import is_camera, with_password, without_password
from edge.capture.picture_headers import is_picture
from edge.config import SourceConfig
from edge.errors import ConfigError
from edge.parts import Part
from edge.protocols import Source


@dataclass(frozen=True)
class SourcePart(Part):
    """A source; an address that starts with ``name://`` belongs to it if ``address`` is a URL."""

    address: str  # how to write its address
    live: bool  # does not wait for its reader, like a camera


def _demo(_: SourceConfig) -> Source:
    from edge.capture.demo import DemoSource

    return DemoSource()


def _file(c: SourceConfig) -> Source:
    from edge.capture.files import FileSource

    return FileSource(c.address, c.fps, color=c.color, draw=c.draw, most_pixels=c.most_pixels)


def _opencv(c: SourceConfig) -> Source:
    from edge.capture.controls import Controls
    from edge.capture.opencv import OpenCVSource

    color = c.color or c.draw
    return OpenCVSource(c.address, c.width, c.height, c.fps, color=color, controls=Controls.of(c))


def _picamera(c: SourceConfig) -> Source:
    from edge.capture.controls import Controls
    from edge.capture.picamera.source import PicameraSource

    return PicameraSource(
        c.address, c.width, c.height, c.fps, color=c.color, draw=c.draw, controls=Controls.of(c)
    )


def _gstreamer(c: SourceConfig) -> Source:
    from edge.capture.controls import Controls
    from edge.capture.gstreamer.source import GStreamerSource

    return GStreamerSource(c.address, c.width, c.height, c.fps, color=c.color, controls=Controls.of(c))


def _rtsp(c: SourceConfig) -> Source:
    from edge.capture.controls import Controls, missing
    from edge.capture.rtsp import RtspSource
    from edge.system.credentials import credential

    for name in Controls.of(c).names():
        missing(without_password(c.address), name, "set that in the camera itself")
    address = with_password(c.address, credential("camera"))
    return RtspSource(address, c.width, c.height, c.fps, most_pixels=c.most_pixels)


def _folder(c: SourceConfig) -> Source:
    from edge.capture.images import ImageSource

    return ImageSource(c.address, c.fps or 10.0, most_pixels=c.most_pixels)


_OPENCV, _GST = "OpenCV", "GStreamer 1.20 and python3-gi, from apt"
SOURCES: tuple[SourcePart, ...] = (
    SourcePart(
        "camera", _opencv, SourceConfig, _OPENCV,
        "USB and V4L2 cameras; found again by their id when they come back under another number",
        "/dev/video0, /dev/v4l/by-id/NAME or a camera number",
        live=True,
    ),
    SourcePart(
        "picam", _picamera, SourceConfig, "python3-picamera2, from apt",
        "Raspberry Pi cameras, as luma; a clip adds a color stream to draw on", "picam://0",
        live=True,
    ),
    SourcePart(
        "csi", _gstreamer, SourceConfig, _GST, "CSI cameras of a Jetson (Argus), as luma", "csi://0",
        live=True,
    ),
    SourcePart(
        "mjpeg", _gstreamer, SourceConfig, _GST, "USB cameras, decoded by the Jetson's hardware",
        "mjpeg:///dev/video0",
        live=True,
    ),
    SourcePart(
        "rtsp", _rtsp, SourceConfig, _OPENCV, "network cameras, over TCP, in color",
        "rtsp://USER:PASSWORD@HOST/PATH",
        live=True,
    ),
    SourcePart(
        "file", _file, SourceConfig, "PyAV", "recorded video: AVI, GIF, MKV, MOV, MP4, TS", "a video file",
        live=False,
    ),
    SourcePart(
        "folder", _folder, SourceConfig, _OPENCV,
        "pictures in natural order: BMP, JPEG, PNG, PNM, TIFF, WebP",
        "a folder of images or a picture", live=False,
    ),
    SourcePart(
        "demo", _demo, SourceConfig, "scikit-image and matplotlib, for their photographs",
        "a first look without a camera", "demo", live=False,
    ),
)  # fmt: skip


def help_text() -> str:
    """All forms of an address, in one line."""
    *most, last = [part.address for part in SOURCES]
    return f"{', '.join(most)}, or {last}"


def find(address: str) -> SourcePart:
    """The source for an address; ConfigError for an unknown scheme.

    What exists as a file or folder is that, even if its name looks like an address.
    """
    if not address:  # as of a shell variable that is not set
        raise ConfigError(f"source is empty, expected {help_text()}")
    table = {part.name: part for part in SOURCES}
    scheme, colon, rest = address.partition(":")
    if colon and not os.path.exists(address):
        known = scheme in table and "://" in table[scheme].address
        if known and rest.startswith("//"):
            return table[scheme]
        if known:  # the rest may hold a password, which only a whole address shows where it stands
            raise ConfigError(
                f"source begins with {scheme}:, write {scheme}://, as in {table[scheme].address}"
            )
        if "://" in address:
            raise ConfigError(f"source {without_password(address)!r} is unknown, expected {help_text()}")
    if address == "demo":
        return table["demo"]
    if is_camera(address):
        return table["camera"]
    return table["folder" if os.path.isdir(address) or is_picture(address) else "file"]


def is_live(address: str) -> bool:
    """Whether the source is a camera, which does not wait for its reader."""
    return find(address).live


def open_source(settings: SourceConfig) -> Source:
    """Open the camera, file or folder at ``settings.address``."""
    source: Source = find(settings.address).load(settings)
    return source
