"""Where a Jetson has its cameras: videotestsrc and JPEG files, as elements of a PC's GStreamer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.capture.gstreamer.pipeline import Elements, Libraries, load
from edge.capture.gstreamer.source import GStreamerSource
from edge.errors import DependencyError

LIBRARIES: Libraries | None = None  # where GStreamer is not installed
try:
    LIBRARIES = load()
    NEEDED = ("videotestsrc", "videoconvert", "multifilesrc", "jpegdec", "v4l2src", "appsink")
    LACKS = [name for name in NEEDED if LIBRARIES.gst.ElementFactory.find(name) is None]
    REASON = f"GStreamer lacks {', '.join(LACKS)}: sudo apt install gstreamer1.0-plugins-good"
except DependencyError as error:
    LACKS, REASON = ["gi"], f"no GStreamer: {error}; then: make gstreamer"


real = pytest.mark.skipif(bool(LACKS), reason=REASON)
PC = Elements(
    csi="videotestsrc is-live=true name=camera{camera}",
    csi_caps="video/x-raw,format=I420",
    usb="multifilesrc loop=true location={camera}",
    usb_caps="image/jpeg",
    jpeg_decoder="jpegdec",
    converter="videoconvert",
    luma_caps="video/x-raw,format={NV12,I420,GRAY8}",
)


def only(form: str, more: str = "") -> Elements:
    """The test picture in one format; its upper part is upright bars, so all rows there are equal."""
    return replace(PC, csi_caps=f"video/x-raw,format={form}{more}")


def source(
    elements: Elements = PC, width: int = 320, height: int = 240, fps: float = 30.0
) -> GStreamerSource:
    return GStreamerSource("csi://0", width, height, fps, elements)
