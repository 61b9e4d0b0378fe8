"""GStreamer's Python bindings, and a camera's pipeline in gst-launch syntax."""

from __future__ import annotations

import ctypes
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from edge.capture.addresses import without_password
from edge.capture.controls import Controls, argus
from edge.errors import DependencyError, SourceError, require
from edge.system.cache import keep_in_cache

_HINT = "sudo apt install python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0"
_PACKAGES = "gstreamer1.0-plugins-base gstreamer1.0-plugins-good"


@dataclass(frozen=True, slots=True)
class Elements:
    """The parts of a pipeline in gst-launch syntax; ``{camera}`` is the sensor id or device node.

    Width, height and rate, if requested, are appended to ``csi_caps`` and ``usb_caps``. ``luma_caps`` is the
    format that reaches Python: NV12, I420 or GRAY8. The default is NV12, which Argus and nvv4l2decoder
    produce, so that nvvidconv only copies it from NVMM to system memory. ``color_caps`` takes its place for
    frames in color: BGRx, as nvvidconv knows no format of three bytes.
    """

    csi: str = "nvarguscamerasrc sensor-id={camera}"
    csi_caps: str = "video/x-raw(memory:NVMM),format=NV12"
    usb: str = "v4l2src device={camera}"
    usb_caps: str = "image/jpeg"
    jpeg_decoder: str = "nvv4l2decoder mjpeg=1"
    converter: str = "nvvidconv"
    luma_caps: str = "video/x-raw,format=NV12"
    color_caps: str = "video/x-raw,format=BGRx"


JETSON = Elements()


class Libraries(NamedTuple):
    """GStreamer's modules from ``gi``."""

    gst: Any
    app: Any
    video: Any


def load() -> Libraries:
    """Import and initialize GStreamer; DependencyError if it is not installed."""
    _keep_unwinder()
    keep_in_cache("GST_REGISTRY", "gstreamer", "registry.bin")
    try:
        for name in ("Gst", "GstApp", "GstVideo"):
            require("gi", _HINT).require_version(name, "1.0")
    except ValueError as error:
        raise DependencyError(f"GStreamer is incomplete ({error}); install it: {_HINT}") from error
    libraries = Libraries(
        *(require(f"gi.repository.{name}", _HINT) for name in ("Gst", "GstApp", "GstVideo"))
    )
    libraries.gst.init_check(None)
    return libraries


def _keep_unwinder() -> None:
    """Make the compiler's unwinder take precedence over GStreamer's libunwind.

    Both define the same symbols. A library loaded after libunwind, such as ONNX Runtime, would use its
    functions, and the first C++ exception would end the process.
    """
    with suppress(OSError):  # absent with other C libraries, which do not have the problem
        ctypes.CDLL("libgcc_s.so.1", mode=ctypes.RTLD_GLOBAL)


def description(
    address: str,
    mode: str = "",
    elements: Elements = JETSON,
    controls: Controls = Controls(),  # noqa: B008, it is frozen
    color: bool = False,
) -> str:
    """The pipeline for ``address`` in gst-launch syntax; ``mode`` is appended to the camera's caps."""
    if match := re.fullmatch(r"csi://(\d+)", address, re.ASCII):
        parts = [elements.csi.format(camera=match[1]) + argus(controls), elements.csi_caps + mode]
    elif match := re.fullmatch(r"mjpeg://(/.+)", address):
        node = re.sub(r'(["\\])', r"\\\1", match[1])
        parts = [elements.usb.format(camera=f'"{node}"'), elements.usb_caps + mode, elements.jpeg_decoder]
    else:
        name = without_password(address)
        raise SourceError(f"{name!r} is not a GStreamer camera; write csi://0 or mjpeg:///dev/video0")
    sink = "appsink name=luma max-buffers=1 drop=true sync=false"
    caps = elements.color_caps if color else elements.luma_caps
    return " ! ".join([*parts, elements.converter, caps, sink])


def mode_caps(libraries: Libraries, width: int | None, height: int | None, fps: float | None) -> str:
    """The requested mode as caps: ``,width=640,framerate=30/1``."""
    mode = f",width={width}" if width else ""
    mode += f",height={height}" if height else ""
    if fps:
        # Cameras express 29.97 as 30000/1001.
        _, numerator, denominator = libraries.video.video_guess_framerate(round(libraries.gst.SECOND / fps))
        mode += f",framerate={numerator}/{denominator}"
    return mode


def parse(gst: Any, text: str) -> Any:
    context = gst.ParseContext.new()
    try:
        return gst.parse_launch_full(text, context, gst.ParseFlags.FATAL_ERRORS)
    except Exception as error:  # GLib.Error, a class that exists only with gi
        if missing := context.get_missing_elements():
            raise DependencyError(
                f"GStreamer has no element {', '.join(missing)}; {_remedy(missing)}"
            ) from error
        reason = " ".join(getattr(error, "message", str(error)).split())
        raise SourceError(f"GStreamer refuses the pipeline {text}: {reason}; correct its elements") from error


def _remedy(missing: list[str]) -> str:
    if any(name.startswith("nv") for name in missing):
        return "on a Jetson: sudo apt install nvidia-l4t-gstreamer; elsewhere use a USB camera, /dev/video0"
    return f"install it: sudo apt install {_PACKAGES}"
