"""Cameras through GStreamer: CSI with Argus, and USB with the Jetson's JPEG decoder."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from edge.capture.controls import Controls, set_v4l2
from edge.capture.gstreamer.pipeline import JETSON, Elements, Libraries, description, load, mode_caps, parse
from edge.data import Frame
from edge.errors import SourceError
from edge.system.closing import Closing

UInt8 = npt.NDArray[np.uint8]
Range = Literal["full", "limited"]

_log = logging.getLogger(__name__)
_START_S = 8.0  # Argus needs up to 3 s for its first frame
_REASON_S = 0.5  # a state change may fail shortly before the element reports the reason
_PULL_S = 0.2  # how long a reading thread may take to notice that the source was closed
_LUMA_FIRST = ("NV12", "I420", "GRAY8")  # 8-bit formats whose first plane is luma
_BLUE_FIRST = ("BGRx", "BGRA")  # 8-bit formats of four bytes
_FULL_RANGE = 1  # GST_VIDEO_COLOR_RANGE_0_255; PyGObject versions spell this name differently


class GStreamerSource(Closing):
    """Frames of ``csi://0`` (CSI camera by sensor id) or ``mjpeg:///dev/video0`` (USB camera).

    They are luma, unless ``color`` asks for BGR, which is copied once more. ``width``, ``height`` (pixels)
    and ``fps`` are mandatory: a camera without that mode is an error. Needs GStreamer 1.20. Raises
    DependencyError if ``gi`` or an element is not installed, SourceError if the camera does not start, or
    stops. ``frames`` has no timeout for a silent camera: its reader must apply one. May be closed from
    another thread; ``frames`` then ends within 0.5 s.
    """

    live = True
    frame_count: int | None = None

    def __init__(
        self,
        address: str,
        width: int | None = None,
        height: int | None = None,
        fps: float | None = None,
        elements: Elements = JETSON,
        parse: Callable[[Any, str], Any] = parse,
        *,
        color: bool = False,
        controls: Controls = Controls(),  # noqa: B008, it is frozen
    ) -> None:
        """Start the camera immediately and wait for its first frame."""
        self.address, self._color = address, color
        self.fps: float | None = None  # frames per second as negotiated; None if the camera reports none
        self._libraries = load()
        self._closed = False
        mode = mode_caps(self._libraries, width, height, fps)
        self._pipeline = parse(self._libraries.gst, description(address, mode, elements, controls, color))
        self._sink = self._pipeline.get_by_name("luma")
        self._bus = self._pipeline.get_bus()
        try:
            if address.startswith("mjpeg://"):
                set_v4l2(Path(address.removeprefix("mjpeg://")), controls)
            self._start(mode)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the camera and free its device; calling it again does nothing."""
        self._closed = True
        self._pipeline.set_state(self._libraries.gst.State.NULL)

    def frames(self) -> Iterator[Frame]:
        """Yield frames with ``image`` (H,W) uint8 luma, read-only, or (H,W,3) uint8 BGR, until closed.

        ``index`` counts frames read.
        ``timestamp_s`` is the capture time on CLOCK_MONOTONIC if the pipeline uses that clock and the
        timestamp is not in the future. Otherwise it is the time of arrival.
        """
        if self._closed:
            raise SourceError(f"{self.address} is already closed; open a new source to read it again")
        index, last_s = 0, 0.0
        while (sample := self._pull(index)) is not None:
            now_s, captured_s = time.monotonic(), self._captured_s(sample)
            last_s = captured_s if captured_s and last_s < captured_s <= now_s else now_s
            if self._color:
                yield Frame(bgr(self._libraries, sample), last_s, index)
            else:
                image, luma_range = luma(self._libraries, sample)
                yield Frame(image, last_s, index, luma_range)
            index += 1

    def _start(self, mode: str) -> None:
        gst = self._libraries.gst
        self._pipeline.set_state(gst.State.PLAYING)
        state = self._pipeline.get_state(int(_START_S * gst.SECOND))[0]
        started = state in (gst.StateChangeReturn.SUCCESS, gst.StateChangeReturn.NO_PREROLL)
        self._check(0, wait_s=0.0 if started else _REASON_S)
        if not started:
            failed = state == gst.StateChangeReturn.FAILURE
            fault = "does not start (no reason given)" if failed else f"gives no frame within {_START_S:g} s"
            raise SourceError(f"{self.address} {fault}; check the camera's cable")
        caps = self._sink.get_static_pad("sink").get_current_caps()
        if caps is not None:
            info = self._libraries.video.VideoInfo.new_from_caps(caps)
            self.fps = info.fps_n / info.fps_d if info.fps_n else None
            rate = f"{self.fps:g} fps" if self.fps else "a variable rate"
            requested = mode.lstrip(",") or "nothing in particular"
            size = f"{info.finfo.name} {info.width}x{info.height}"
            _log.info("%s delivers %s at %s; requested %s", self.address, size, rate, requested)

    def _pull(self, read: int) -> Any:
        """The next sample, or None once closed."""
        while not self._closed:
            sample = self._sink.try_pull_sample(int(_PULL_S * self._libraries.gst.SECOND))
            if sample is not None:
                return sample
            self._check(read)
        return None

    def _check(self, read: int, wait_s: float = 0.0) -> None:
        """Raise the error that the pipeline has reported, or reports within ``wait_s`` seconds."""
        gst = self._libraries.gst
        kinds = gst.MessageType
        message = self._bus.timed_pop_filtered(int(wait_s * gst.SECOND), kinds.ERROR | kinds.EOS)
        if message is None or self._closed:
            return
        if message.type == kinds.EOS:
            raise SourceError(f"{self.address} ended after {read} frames; check the camera's cable and power")
        error, debug = message.parse_error()
        reason = " ".join([error.message, *(debug or "").splitlines()[1:]])  # line 1 is a place in C code
        raise SourceError(
            f"{self.address} failed after {read} frames: {message.src.get_name()}: {reason}; "
            "check the camera, that it has this mode, and that no other program uses it"
        )

    def _captured_s(self, sample: Any) -> float | None:
        """CLOCK_MONOTONIC seconds of a sample's PTS; None if the PTS cannot be converted."""
        gst = self._libraries.gst
        clock, pts = self._pipeline.get_clock(), sample.get_buffer().pts
        if not isinstance(clock, gst.SystemClock) or pts == gst.CLOCK_TIME_NONE:
            return None
        if clock.get_property("clock-type") != gst.ClockType.MONOTONIC:
            return None
        running = sample.get_segment().to_running_time(gst.Format.TIME, pts)
        if running == gst.CLOCK_TIME_NONE:
            return None
        return float(self._sink.get_base_time() + running) / gst.SECOND


def luma(libraries: Libraries, sample: Any) -> tuple[UInt8, Range]:
    """The first plane of a sample as (H,W) uint8, and its range; SourceError if that is not luma.

    The plane is copied once, padding included; the result is a read-only view without the padding.
    """
    info = _info(libraries, sample, _LUMA_FIRST)
    image = _plane(libraries, sample, info, 1)[..., 0]
    return image, "full" if int(info.colorimetry.range) == _FULL_RANGE else "limited"


def bgr(libraries: Libraries, sample: Any) -> UInt8:
    """A sample of four bytes per pixel as (H,W,3) uint8 BGR; SourceError if blue is not the first of them."""
    info = _info(libraries, sample, _BLUE_FIRST)
    return np.asarray(cv2.cvtColor(_plane(libraries, sample, info, 4), cv2.COLOR_BGRA2BGR), np.uint8)


def _info(libraries: Libraries, sample: Any, supported: Sequence[str]) -> Any:
    """What a sample's caps say; SourceError if its format is not a supported one."""
    info = libraries.video.VideoInfo.new_from_caps(sample.get_caps())
    if info is None or info.finfo.name not in supported:
        caps, wanted = sample.get_caps().to_string(), ", ".join(supported)
        raise SourceError(f"the camera's pipeline gives {caps}, expected one of {wanted}; try /dev/videoN")
    return info


def _plane(libraries: Libraries, sample: Any, info: Any, pixel: int) -> UInt8:
    """The first plane (H,W,``pixel``) of a sample, with that many bytes per pixel."""
    gst, video = libraries.gst, libraries.video
    buffer = sample.get_buffer()
    # A decoder may use its own buffer layout, which this metadata describes.
    layout = video.buffer_get_video_meta(buffer) or info
    stride, offset = layout.stride[0], layout.offset[0]
    # The region shares the buffer's memory, so that only this plane is copied into Python. `data` is a copy
    # in plain PyGObject, which bytes() reuses, and a view with the gst-python overrides.
    size = stride * (info.height - 1) + info.width * pixel
    region = buffer.copy_region(gst.BufferCopyFlags.MEMORY, offset, size)
    mapped, memory = region.map(gst.MapFlags.READ)
    if not mapped:
        raise SourceError("GStreamer cannot map a frame in GPU memory; try the source /dev/videoN")
    try:
        plane = bytes(memory.data)
    finally:
        region.unmap(memory)
    return np.ndarray((info.height, info.width, pixel), np.uint8, plane, strides=(stride, pixel, 1))
