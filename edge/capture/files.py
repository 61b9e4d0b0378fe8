"""Video files through PyAV (FFmpeg)."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from edge.capture import png_contents
from edge.capture.container import (
    cause_of,
    decoder_options,
    estimated_frames,
    is_bare,
    nominal_rate,
    opened,
    origin_s,
    restarts,
    video_of,
)
from edge.capture.decoded import Pictures
from edge.capture.file_clock import FileClock
from edge.capture.file_structure import is_cut, track_matrix
from edge.capture.orientation import UPRIGHT, from_matrix
from edge.capture.read_ahead import ReadAhead
from edge.capture.regular_file import WatchedFile, shown
from edge.config import SourceConfig
from edge.data import Frame
from edge.errors import SourceError, require
from edge.system.closing import Closing

_log = logging.getLogger(__name__)
_LOST_S = 1.0  # seconds without a frame before the end of a damaged file that are told
INSTALL = "pip install 'emotion-edge[files]', or on a board: sudo apt install python3-av"


class FileSource(Closing):
    """Frames of a video file, every one in order, at the times of its container's clock.

    Frames are luma (H,W), a view of the decoder's memory, unless ``color`` asks for BGR (H,W,3) or the
    format has no luma of 8 bits. ``draw`` adds a BGR picture to luma. Frames are turned as the file says.
    Pixels that are not square stay as they are stored. ``fps`` is the rate of a file without usable times.
    A larger frame than ``most_pixels`` is refused by the header, and missing if it comes later.
    ``file`` is what is open at ``path``.
    Raises SourceError if the file cannot be opened, and from ``frames`` if nothing in it can be decoded or
    its storage fails; DependencyError without PyAV.
    """

    live = False

    def __init__(
        self,
        path: str | Path,
        fps: float | None = None,
        *,
        color: bool = False,
        draw: bool = False,
        most_pixels: int = SourceConfig.most_pixels,
        file: WatchedFile | None = None,
    ) -> None:
        """Open ``path`` immediately, so that a wrong one fails before anything else starts."""
        self.name = shown(path)
        self._pictures = Pictures(color, draw)
        self._closed = False
        self._ahead: ReadAhead | None = None
        self._damaged = 0  # packets that could not be decoded
        self._faulty = 0  # frames of which parts are missing
        self._fault: Exception | None = None  # the last one, of the decoder or of the container
        self._cut = False
        self._file = file or WatchedFile(path)
        try:
            self._av = require("av", INSTALL)
            self._container = opened(self._av, self._file, self.name, most_pixels)
            self._stream = video_of(self._container, self.name, most_pixels)
        except BaseException:
            self._file.close()
            raise
        self._most_pixels = most_pixels
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.options = decoder_options(most_pixels)
        # Read once: PyAV 19 ends the process at it after a decoder that could not be opened.
        self._codec = self._stream.codec_context.name
        self._bare, self._rate_given = is_bare(self._container), fps is not None
        self.fps = fps or nominal_rate(self._stream, self._bare)  # frames per second
        self._origin_s = origin_s(self._container, self._stream)
        self.frame_count = self._stream.frames or estimated_frames(self._container, self.fps)
        self._of_track = self._orientation_of_track()
        self._matrix = self._av.sidedata.sidedata.Type["DISPLAYMATRIX"]

    def close(self) -> None:
        """Close the file; frames that were read stay valid."""
        self._closed = True
        if self._ahead is not None:
            self._ahead.stop()  # FFmpeg must not be closed while it decodes
        self._container.close()
        self._file.close()

    def frames(self) -> Iterator[Frame]:
        """Yield the frames, decoded on a thread; the log tells at the end what was damaged or missing."""
        if self._closed:
            raise SourceError(f"{self.name} is already closed; open a new source to read it again")
        if self._ahead is not None:
            self._ahead.stop()
        self._ahead = ReadAhead(self._read())
        yield from self._ahead

    def _read(self) -> Generator[Frame, None, None]:
        index, last_s = 0, None
        clock = FileClock(self.fps, restarts(self._container))
        for decoded in self._decoded():
            if index == 1 and self._bare and not self._rate_given:  # a single picture needs no clock
                text = "%s has no clock: times are invented at %.4g frames per second; set source.fps"
                _log.warning(text, self.name, self.fps)
            time_s = clock.time_s(self._time_s(decoded, index))
            own = decoded.side_data.get(self._matrix)
            orientation = self._of_track if own is None else from_matrix(bytes(own))
            yield orientation.turn_frame(self._pictures.frame(decoded, time_s, index))
            index, last_s, self._faulty = index + 1, time_s, self._faulty + decoded.is_corrupt
        if not self._closed:
            self._check_end(index, last_s)

    def _decoded(self) -> Iterator[Any]:
        """PyAV's frames in the order in which they are shown."""
        packets = self._packets()
        while not self._closed:
            packet = next(packets, None)
            # None flushes the frames that the decoder still holds.
            yield from self._decode(packet)
            if packet is None:
                return

    def _packets(self) -> Iterator[Any]:
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:  # an empty one stands for a frame that was left out, or for the end
                    self._cut = packet.is_corrupt  # of the last one: the file ends within it
                    yield packet
        except (self._av.error.FFmpegError, OSError) as error:  # the container is broken here
            self._fault, self._cut = error, True

    def _decode(self, packet: Any) -> list[Any]:
        try:
            if packet is not None:
                self._check(packet)
            return self._stream.codec_context.decode(packet)
        except self._av.error.EOFError:  # flushed
            return []
        except (self._av.error.FFmpegError, OSError, ValueError, SourceError) as error:
            # ValueError: a codec that PyAV 19 does not know.
            self._fault, self._damaged = error, self._damaged + 1
            return []

    def _check(self, packet: Any) -> None:
        """Raise SourceError for a PNG that unpacks to far more than it shows."""
        if self._codec == "png":
            png_contents.check(bytes(packet), self._most_pixels)
        elif self._codec == "apng":  # chunks alone; those before the first frame are kept apart
            before = self._stream.codec_context.extradata or b""
            png_contents.check(before + bytes(packet), self._most_pixels, at=0)

    def _time_s(self, decoded: Any, index: int) -> float:
        if self._bare:
            return index / self.fps
        pts = decoded.dts if decoded.pts is None else decoded.pts
        return math.nan if pts is None else float(pts * self._stream.time_base) - self._origin_s

    def _orientation_of_track(self) -> Any:
        if self._av.library_versions["libavcodec"] >= (60, 31) or not self._is_mov:
            return UPRIGHT  # FFmpeg 6.1 and later give it with each frame
        return from_matrix(track_matrix(self._file, self._stream.id))

    @property
    def _is_mov(self) -> bool:
        return self._container.format.name.startswith("mov,")

    def _lost_rest(self, last_s: float) -> str:
        """What a demuxer that gave up in the middle has left out; it reports that as the end."""
        duration_s = (self._container.duration or 0) / self._av.time_base
        lost = duration_s - last_s > max(_LOST_S, duration_s / 10)
        return f"; what follows {last_s:.1f} s of {duration_s:.1f} s cannot be read" if lost else ""

    def _check_end(self, read: int, last_s: float | None) -> None:
        if self._file.fault is not None:
            raise SourceError(
                f"{self.name} cannot be read after frame {read} ({self._file.fault.strerror}); "
                f"check the disk, or copy the file to another one"
            )
        if read == 0:
            raise SourceError(
                f"{self.name} has no decodable frame ({cause_of(self._fault)}); check it with another "
                f"player or copy it again"
            )
        cut = self._cut or is_cut(self._file, self._container.format.name)
        # The last frame of a cut file is no further fault.
        missing = max(self._damaged - cut, 0)
        faulty = max(self._faulty - (cut and not self._damaged), 0)
        if missing or faulty:
            text = "%s is damaged: %d frames are missing, %d are shown with faults%s"
            _log.warning(text, self.name, missing, faulty, self._lost_rest(last_s or 0.0))
        if cut:
            total = f" of {self.frame_count}" if (self.frame_count or 0) > read else ""
            _log.warning("%s is truncated after frame %d%s (%.2f s)", self.name, read, total, last_s)
