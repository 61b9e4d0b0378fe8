"""A camera read in a child process, which, unlike a thread, can be killed.

``python -m edge.capture.reconnect.subprocess_source`` reads the source's settings as JSON from standard
input, since a command line would expose the password in an address. It writes records to standard output: a
header of fixed size and a payload that depends on its magic. The payload is empty (the camera is open), the
pixels of a frame, or the error that ends the process. The pixels of a separate picture to draw on, if any,
follow those of the frame.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from math import inf
from typing import IO

import numpy as np

from edge.capture.reconnect.latest_frame import NewestFrames
from edge.capture.reconnect.source_thread import in_time
from edge.capture.reconnect.timeouts import Timeouts
from edge.capture.sources import open_source
from edge.config import SourceConfig
from edge.data import Frame
from edge.errors import EdgeError, RestartNeeded, SourceError
from edge.system import journal
from edge.system.closing import Closing
from edge.system.process import START, die_with_parent, stay_in_memory

# magic, height, width, channels (0: luma), time in s, index, limited range, total of dropped frames, height
# and width of the picture to draw on (0: draw on the image)
HEADER = struct.Struct("<4sIIIdI?III")
OPENED, FRAME, FAULT = b"EdO3", b"EdF3", b"EdX3"  # height of FAULT: bytes of its message
_MAX_MESSAGE_BYTES = 1000


class ChildSource(Closing):
    """The source of ``settings``, read by a child process; behaves like any live source."""

    live = True

    def __init__(
        self,
        settings: SourceConfig,
        dies_s: float = Timeouts.dies_s,
        command: Sequence[str] = (sys.executable, "-m", "edge.capture.reconnect.subprocess_source"),
    ) -> None:
        """``dies_s``: how long the process may survive SIGKILL; ``command`` runs this module."""
        self.frame_count: int | None = None
        self.opened_s = inf  # monotonic, when the process reported the camera open
        self.dropped = 0  # frames replaced by a newer one in that process
        self._undying, self._dies_s = False, dies_s
        self._child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            cwd=START,
            start_new_session=True,  # so that Ctrl-C reaches only the parent
        )
        assert self._child.stdin is not None
        with suppress(BrokenPipeError), self._child.stdin as stdin:  # if it died at once, frames() raises why
            stdin.write(json.dumps(asdict(settings)).encode())

    def close(self) -> None:
        """End the process."""
        self.kill()
        if self._child.stdout is not None:
            self._child.stdout.close()

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the process ends, which raises a SourceError with its message."""
        pipe = self._child.stdout
        assert pipe is not None
        while len(head := pipe.read(HEADER.size)) == HEADER.size:
            magic, length, *_, self.dropped, _, _ = HEADER.unpack(head)
            if magic == FAULT:
                raise SourceError(pipe.read(length).decode(errors="replace"))
            if magic == OPENED:
                self.opened_s = time.monotonic()
                continue
            if magic != FRAME:
                raise SourceError(f"the capture process wrote {magic!r}, expected the start of a frame")
            if (frame := _read(pipe, head)) is None:
                break
            yield frame
        self._ends(self._dies_s)
        raise SourceError(f"the capture process ended with exit code {self._child.poll()}")

    def kill(self, idle: Callable[[], None] = lambda: None) -> None:
        """Kill the process; RestartNeeded if it survives SIGKILL, without a wait the second time."""
        self._child.kill()
        if not in_time(self._ends, 0.0 if self._undying else self._dies_s, idle):
            self._undying = True
            raise RestartNeeded(
                f"the capture process {self._child.pid} does not die, its driver hangs; restart the program"
            )

    def _ends(self, wait_s: float) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(wait_s)
        return self._child.returncode is not None


def _read(pipe: IO[bytes], head: bytes) -> Frame | None:
    """The frame that follows the header ``head``; None if the pipe ends within it."""
    _, height, width, channels, time_s, index, limited, _, drawn_height, drawn_width = HEADER.unpack(head)
    image = np.empty((height, width, channels) if channels else (height, width), np.uint8)
    drawn = np.empty((drawn_height, drawn_width, 3), np.uint8) if drawn_height else None
    for picture in (image, drawn):
        if picture is None:
            continue
        if pipe.readinto(picture.data.cast("B")) < picture.nbytes:  # type: ignore[attr-defined]
            return None
    return Frame(image, time_s, index, "limited" if limited else "full", drawn)


def _write_message(pipe: IO[bytes], magic: bytes, text: str = "") -> None:
    message = text.encode()[:_MAX_MESSAGE_BYTES]
    pipe.write(HEADER.pack(magic, len(message), 0, 0, 0.0, 0, False, 0, 0, 0) + message)


def _write_frame(pipe: IO[bytes], frame: Frame, dropped: int) -> None:
    image = np.ascontiguousarray(frame.image)
    height, width = image.shape[:2]
    channels = image.shape[2] if image.ndim == 3 else 0
    limited = frame.luma_range == "limited"
    fields = (height, width, channels, frame.timestamp_s, frame.index, limited, dropped)
    drawn = None if frame.drawn is None else np.ascontiguousarray(frame.drawn)
    pipe.write(HEADER.pack(FRAME, *fields, *((0, 0) if drawn is None else drawn.shape[:2])))
    for picture in (image, drawn):
        if picture is not None:
            pipe.write(picture.data.cast("B"))


def main(settings: str) -> int:
    """Read the source of ``settings`` (JSON) until it ends or the parent has gone."""
    die_with_parent()
    stay_in_memory()
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    sys.stdout = sys.stderr  # what a library prints must not end up between the frames
    os.dup2(sys.stderr.fileno(), 1)
    journal.configure(logging.WARNING)  # the parent logged the camera's mode when it opened the camera
    with suppress(BrokenPipeError, KeyboardInterrupt):  # the parent has gone, or stops this process
        try:
            _copy(settings, pipe)
            return 0
        except (BrokenPipeError, KeyboardInterrupt):
            raise
        except EdgeError as error:  # the parent logs it once; a child process would at every attempt
            _write_message(pipe, FAULT, str(error))
        except Exception as error:
            _write_message(pipe, FAULT, f"{type(error).__name__}: {error}")
        return 2
    return 0


def _copy(settings: str, pipe: IO[bytes]) -> None:
    with open_source(SourceConfig(**json.loads(settings))) as source, NewestFrames(source) as frames:
        _write_message(pipe, OPENED)
        for frame in frames:
            _write_frame(pipe, frame, frames.dropped)


if __name__ == "__main__":
    os._exit(main(sys.stdin.read()))  # a thread that hangs in its library must not delay the exit
