"""An annotated clip: box, track, label and the top probabilities."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeGuard

from edge.data import EmotionEstimate, Frame
from edge.errors import ConfigError, require
from edge.sinks.clip_file import HINT, ClipEncoder, count_frames, remux
from edge.sinks.drawing import Picture, draw
from edge.system.closing import Closing
from edge.system.output_file import OutputFile

log = logging.getLogger(__name__)
_ONLY_FRAME_S = 1.0  # how long a clip of a single picture is


class VideoSink(Closing):
    """Write every frame with its estimates, at its own time, to an .mp4.

    The clip gets its name when the sink is closed, after it was read again. Until then, and where that fails,
    a hidden part beside it plays up to its last seconds. Frames of another size than the first are resized.
    """

    def __init__(self, path: str, force: bool = False) -> None:
        """``force``: replace a file of another program.

        Raises ConfigError if the path cannot be written, DependencyError without PyAV.
        """
        self._av = require("av", HINT)
        self._path = Path(path)
        self._output = OutputFile(self._path, (".mp4",), force)
        self._first: tuple[Picture, float] | None = None  # waits for the second, which tells the pace
        self._part: BinaryIO | None = None
        self._encoder: ClipEncoder | None = None

    def __enter__(self) -> VideoSink:
        self._output.__enter__()
        return self

    def write(self, frame: Frame, estimates: Sequence[EmotionEstimate]) -> None:
        """Draw the estimates onto a copy of the frame and append it; ConfigError as on a full disk."""
        picture = draw(frame, estimates)
        if self._first is None and self._encoder is None:
            self._first = (picture, frame.timestamp_s)
            return
        with self._faults():
            encoder = self._encoder or self._start(frame.timestamp_s)
            encoder.add(picture, frame.timestamp_s)

    def close(self) -> None:
        """Finish the clip, read it again and give it its name. Raises ConfigError."""
        try:
            with self._faults():
                if self._first is not None and self._encoder is None:
                    self._start(self._first[1] + _ONLY_FRAME_S)
                if self._encoder is not None and self._part is not None:
                    self._finish(self._encoder, self._part)
        finally:
            self._encoder = None
            self._output.close()

    def _start(self, next_s: float) -> ClipEncoder:
        """The encoder, with the first picture; ``next_s`` is the time of the second, in seconds."""
        assert self._first is not None
        picture, stamp_s = self._first
        self._part = self._output.part()
        size = (picture.shape[1], picture.shape[0])
        encoder = ClipEncoder(self._part, size, next_s - stamp_s)
        if encoder.codec == "mpeg4":
            log.warning(
                "FFmpeg has no encoder for H.264 here: %s becomes MPEG-4 video, which browsers do not play; "
                "pip install 'emotion-edge[files]'",
                self._path,
            )
        encoder.add(picture, stamp_s)
        self._encoder, self._first = encoder, None
        return encoder

    def _finish(self, encoder: ClipEncoder, part: BinaryIO) -> None:
        encoder.close()
        whole = self._output.part()
        try:
            # FFmpeg reports a disk that became full with the last bytes as a success.
            found = min(remux(part, whole, encoder.last_ticks), count_frames(whole))
            if found < encoder.frames:
                raise OSError(f"it was cut off after {found} of {encoder.frames} frames")
        except BaseException:
            whole.truncate(0)  # half of a clip without an index is of no use; the part is
            raise
        size = whole.seek(0, 2)
        self._output.commit(whole)
        told = (*encoder.size, encoder.duration_s, size, ", MPEG-4" if encoder.codec == "mpeg4" else "")
        log.info("%s: %dx%d pixels, %.1f s, %d bytes%s", self._path, *told)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn an error of PyAV or of the disk into one line; what was written stays as a part."""
        try:
            yield
        except (OSError, ValueError, self._av.error.FFmpegError) as error:
            self._encoder = self._first = None  # the part stays as it is
            reason = getattr(error, "strerror", None) or error
            left = f"; what was written is in {self._part.name}" if _holds_data(self._part) else ""
            raise ConfigError(
                f"output {self._path} cannot be written ({reason}); free space or choose another path{left}"
            ) from error


def _holds_data(file: BinaryIO | None) -> TypeGuard[BinaryIO]:
    return file is not None and os.fstat(file.fileno()).st_size > 0
