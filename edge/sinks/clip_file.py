"""Encodes pictures into an MP4 that is whole at any moment, and makes one for players of it."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from fractions import Fraction
from statistics import median
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import ConfigError, require
from edge.system.closing import Closing
from edge.system.marks import MARK
from edge.version import __version__

Picture = npt.NDArray[np.uint8]

HINT = "pip install 'emotion-edge[files]', or on a board: sudo apt install python3-av"
COMMENT = f"{MARK} {__version__}"  # in our clips, by which they are recognized
TICKS = 60_000  # a second; MPEG-4 video takes at most 65,535
KEYFRAME_S = 2.0  # what a power cut loses, and what a seek has to decode
LONGEST_GAP_S = 8 * 3600.0  # MP4 holds a duration in 31 bits, 9.9 hours; a camera may come back next day

# Every frame becomes one packet at once: no later frames are waited for, and none is lost at the end.
_X264 = {"preset": "superfast", "tune": "zerolatency", "crf": "23", "forced-idr": "1"}
# The first that opens; the last is no H.264.
_ENCODERS: dict[str, dict[str, str]] = {
    "libx264": _X264,
    "libopenh264": {"b": "2M"},
    "h264_v4l2m2m": {"b": "2M"},
    "mpeg4": {"qmin": "3", "qmax": "8"},
}
# What cv2 converts to; players would guess by the size of the picture.
_COLORS = {
    "color_range": "tv",
    "colorspace": "smpte170m",
    "color_primaries": "smpte170m",
    "color_trc": "smpte170m",
}
_FRAGMENTS = "frag_keyframe+empty_moov+delay_moov+default_base_moof"


class ClipEncoder(Closing):
    """Encodes pictures into ``file`` as a fragmented MP4, which plays up to its last keyframe at any time.

    ``size`` is width and height in pixels; other pictures are resized, odd sizes get one more row or column.
    ``period_s`` is the expected time between two frames. The clip begins with its first picture, and each
    picture is shown at its own time. Errors are those of PyAV and OSError.
    """

    def __init__(self, file: BinaryIO, size: tuple[int, int], period_s: float) -> None:
        av = require("av", HINT)
        self._size = size
        self._even = (size[0] + size[0] % 2, size[1] + size[1] % 2)
        self._rate = Fraction(1 / min(max(period_s, 1e-3), 60.0)).limit_denominator(1000)
        self.codec, options = self._encoder(av)
        self._container = av.open(
            _address(file), "w", format="mp4", options={"movflags": _FRAGMENTS, "flush_packets": "1"}
        )
        self._container.metadata["comment"] = COMMENT
        self._stream = self._container.add_stream(self.codec, rate=self._rate, options=options)
        self._set_up(self._stream)
        self._frame_type, self._key = av.VideoFrame, av.video.frame.PictureType.I
        self._gaps = deque([round(min(max(period_s, 0.0), LONGEST_GAP_S) * TICKS)], maxlen=64)
        self._last_s: float | None = None
        self._elapsed_s = 0.0
        self._tick, self._key_tick = -1, 0
        self.frames = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the clip in pixels."""
        return self._even

    @property
    def last_ticks(self) -> int:
        """How long the last frame is shown: the median gap between frames, in ticks."""
        return max(1, round(median(self._gaps)))

    @property
    def duration_s(self) -> float:
        """Duration in seconds, with that of the last frame."""
        return (self._tick + self.last_ticks) / TICKS

    def add(self, picture: Picture, stamp_s: float) -> None:
        """Append a BGR picture (H,W,3) of the time ``stamp_s`` in seconds."""
        frame = self._frame_type.from_ndarray(self._yuv(picture), format="yuv420p")
        frame.pts, frame.time_base = self._ticks(stamp_s), Fraction(1, TICKS)
        if not self.frames or frame.pts - self._key_tick >= KEYFRAME_S * TICKS:
            frame.pict_type, self._key_tick = self._key, frame.pts
        self._write(frame)

    def close(self) -> None:
        """Write what the encoder still holds, and the end of the file; may raise, as ``add``."""
        try:
            self._write(None)
        finally:
            self._container.close()

    def _write(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
            self.frames += 1

    def _ticks(self, stamp_s: float) -> int:
        """The frame's time in the clip; it rises also where the source's clock stands still or jumps back."""
        if self._last_s is not None:
            self._elapsed_s += min(max(stamp_s - self._last_s, 0.0), LONGEST_GAP_S)
        self._last_s = stamp_s
        tick = max(round(self._elapsed_s * TICKS), self._tick + 1)
        if self._tick >= 0:
            self._gaps.append(tick - self._tick)
        self._tick = tick
        return tick

    def _yuv(self, picture: Picture) -> Picture:
        if picture.shape[1::-1] != self._size:
            picture = np.asarray(cv2.resize(picture, self._size), np.uint8)
        if self._even != self._size:  # the edge is repeated, so that nothing is cut off
            across, down = self._even[0] - self._size[0], self._even[1] - self._size[1]
            picture = np.asarray(
                cv2.copyMakeBorder(picture, 0, down, 0, across, cv2.BORDER_REPLICATE), np.uint8
            )
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8)

    def _encoder(self, av: Any) -> tuple[str, dict[str, str]]:
        """The first encoder that is there and opens for this size, with its options."""
        for name, own in _ENCODERS.items():
            with suppress(av.error.FFmpegError, ValueError):
                context = av.CodecContext.create(name, "w")
                context.options = options = {**own, **_COLORS}
                context.framerate = self._rate
                self._set_up(context)
                context.open()
                return name, options
        width, height = self._even
        raise ConfigError(f"no encoder of FFmpeg opens for {width}x{height}; remove output.annotate")

    def _set_up(self, context: Any) -> None:
        context.width, context.height = self._even
        context.pix_fmt, context.time_base = "yuv420p", Fraction(1, TICKS)
        context = getattr(context, "codec_context", context)
        context.time_base = Fraction(1, TICKS)
        context.gop_size = 600  # frames at most: keyframes are asked for by time


def remux(source: BinaryIO, target: BinaryIO, last_ticks: int) -> int:
    """Copy a fragmented MP4 into one that begins with its index, as players like it.

    The last frame is shown for ``last_ticks``. Returns how many frames were read whole; a disk that became
    full leaves less of the last one. Errors are those of PyAV and OSError.
    """
    av = require("av", HINT)
    # Without an edit list, which would hide a last frame that has no duration.
    options = {"movflags": "faststart", "use_editlist": "0"}
    with (
        av.open(_address(source), "r", format="mp4") as read,
        av.open(_address(target), "w", format="mp4", options=options) as written,
    ):
        written.metadata["comment"] = COMMENT
        stream = _copy_of(read.streams.video[0], written)
        packets = (packet for packet in read.demux(video=0) if packet.dts is not None)
        count, waiting = 0, next(packets, None)
        while waiting is not None:
            packet, waiting = waiting, next(packets, None)
            if waiting is None:
                with suppress(AttributeError):  # PyAV 10 cannot: it is the first gap, or nothing
                    packet.duration = last_ticks
            packet.stream = stream
            count += not packet.is_corrupt
            written.mux(packet)
    return count


def count_frames(file: BinaryIO) -> int:
    """The number of whole video frames in an MP4. Errors are those of PyAV and OSError."""
    av = require("av", HINT)
    with av.open(_address(file), "r", format="mp4") as read:
        if not read.streams.video:
            return 0
        return sum(packet.size > 0 and not packet.is_corrupt for packet in read.demux(video=0))


def _copy_of(stream: Any, container: Any) -> Any:
    if hasattr(container, "add_stream_from_template"):  # since PyAV 14
        return container.add_stream_from_template(stream)
    return container.add_stream(template=stream)


def _address(file: BinaryIO) -> str:
    # Not by name: FFmpeg takes what stands before a colon for a protocol, and PyAV takes no bytes that are
    # not UTF-8. And it opens the file again to put the index first, which it cannot do with a Python file.
    return f"file:/proc/self/fd/{file.fileno()}"
