"""The table of sources, and the choice of one by address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.capture.addresses import is_camera, without_password
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


def _opencv(c: SourceConfig) -> Source:
    from edge.capture.opencv import OpenCVSource

    return OpenCVSource(c.address, c.width, c.height, c.fps, color=c.color or c.draw)


def _picamera(c: SourceConfig) -> Source:
    from edge.capture.picamera.source import PicameraSource

    return PicameraSource(c.address, c.width, c.height, c.fps, color=c.color, draw=c.draw)


def _gstreamer(c: SourceConfig) -> Source:
    from edge.capture.gstreamer.source import GStreamerSource

    return GStreamerSource(c.address, c.width, c.height, c.fps)


def _rtsp(c: SourceConfig) -> Source:
    from edge.capture.rtsp import RtspSource

    return RtspSource(c.address, c.width, c.height, c.fps)


def _folder(c: SourceConfig) -> Source:
    from edge.capture.images import ImageFolderSource

    return ImageFolderSource(c.address, c.fps or 10.0)


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
        "file", _opencv, SourceConfig, _OPENCV, "recorded video: GIF, MKV, MOV, MP4", "a video file",
        live=False,
    ),
    SourcePart(
        "folder", _folder, SourceConfig, _OPENCV, "pictures in natural order: JPEG, PNG, BMP, WebP",
        "a folder of images", live=False,
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
    """The source for an address; ConfigError for an unknown scheme."""
    table = {part.name: part for part in SOURCES}
    scheme, is_url, _ = address.partition("://")
    if is_url:
        if scheme in table and "://" in table[scheme].address:
            return table[scheme]
        raise ConfigError(f"source {without_password(address)!r} is unknown, expected {help_text()}")
    if address == "demo":
        return table["demo"]
    if is_camera(address):
        return table["camera"]
    return table["folder" if Path(address).is_dir() else "file"]


def is_live(address: str) -> bool:
    """Whether the source is a camera, which does not wait for its reader."""
    return find(address).live


def open_source(settings: SourceConfig) -> Source:
    """Open the camera, file or folder at ``settings.address``."""
    source: Source = find(settings.address).load(settings)
    return source
