"""A camera in a process of its own, which can be killed where a thread cannot.

``python -m edge.capture.reconnect.subprocess_source`` takes the source's settings as JSON on standard input
(an address may hold a password, which a command line would show) and writes records to standard output: a
header of fixed size, then what its magic says: nothing (the camera is open), the pixels of a frame and
of what is drawn on where that is another picture, or the fault it ends with.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from math import inf
from types import TracebackType
from typing import IO

import numpy as np

from edge.capture.reconnect.latest_frame import NewestFrames
from edge.capture.reconnect.source_thread import in_time
from edge.capture.sources import open_source
from edge.config import SourceConfig
from edge.data import Frame
from edge.errors import EdgeError, RestartNeeded, SourceError
from edge.system import journal
from edge.system.process import START, die_with_parent, stay_in_memory

# magic, height, width, channels (0: luma), time s, index, limited range, frames dropped in all, height and
# width of what is drawn on (0: nothing but the image)
HEADER = struct.Struct("<4sIIIdI?III")
OPENED, FRAME, FAULT = b"EdO3", b"EdF3", b"EdX3"  # a fault has its bytes' number in place of the height
DIES_S = 2.0  # a process that outlives SIGKILL for so long hangs in the kernel, in a driver
_LONGEST_FAULT = 1000


class ChildSource:
    """The source of ``settings`` as another process reads it; frames as a live source gives them."""

    live = True

    def __init__(self, settings: SourceConfig) -> None:
        self.frame_count: int | None = None
        self.opened_s = inf  # monotonic, when the process said that it has the camera
        self.dropped = 0  # frames that a newer one replaced over there
        self._undying = False
        command = [sys.executable, "-m", "edge.capture.reconnect.subprocess_source"]
        self._child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            cwd=START,
            start_new_session=True,  # Ctrl-C is ours to answer
        )
        assert self._child.stdin is not None
        with suppress(BrokenPipeError), self._child.stdin as told:  # one that died at once: frames() tells
            told.write(json.dumps(asdict(settings)).encode())

    def __enter__(self) -> ChildSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        if self._child.stdout is not None:
            self._child.stdout.close()

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the process ends, which is a SourceError with what it said."""
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
                raise SourceError(f"the capture process wrote {magic!r} where a frame begins")
            if (frame := _read(pipe, head)) is None:
                break
            yield frame
        self._ends(DIES_S)
        raise SourceError(f"the capture process ended with {self._child.poll()}")

    def kill(self, idle: Callable[[], None] = lambda: None) -> None:
        """End the process; RestartNeeded where not even SIGKILL does, the second time without a wait."""
        self._child.kill()
        if not in_time(self._ends, 0.0 if self._undying else DIES_S, idle):
            self._undying = True
            raise RestartNeeded(f"the capture process {self._child.pid} does not die; its driver hangs")

    def _ends(self, wait_s: float) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(wait_s)
        return self._child.returncode is not None


def _read(pipe: IO[bytes], head: bytes) -> Frame | None:
    """The frame of a header; None where the pipe ends within it."""
    _, height, width, channels, time_s, index, limited, _, drawn_height, drawn_width = HEADER.unpack(head)
    image = np.empty((height, width, channels) if channels else (height, width), np.uint8)
    drawn = np.empty((drawn_height, drawn_width, 3), np.uint8) if drawn_height else None
    for picture in (image, drawn):
        if picture is None:
            continue
        if pipe.readinto(picture.data.cast("B")) < picture.nbytes:  # type: ignore[attr-defined]
            return None
    return Frame(image, time_s, index, "limited" if limited else "full", drawn)


def _say(pipe: IO[bytes], magic: bytes, text: str = "") -> None:
    said = text.encode()[:_LONGEST_FAULT]
    pipe.write(HEADER.pack(magic, len(said), 0, 0, 0.0, 0, False, 0, 0, 0) + said)


def _write(pipe: IO[bytes], frame: Frame, dropped: int) -> None:
    image = np.ascontiguousarray(frame.image)
    height, width = image.shape[:2]
    channels = image.shape[2] if image.ndim == 3 else 0
    limited = frame.luma_range == "limited"
    about = (height, width, channels, frame.timestamp_s, frame.index, limited, dropped)
    drawn = None if frame.drawn is None else np.ascontiguousarray(frame.drawn)
    pipe.write(HEADER.pack(FRAME, *about, *((0, 0) if drawn is None else drawn.shape[:2])))
    for picture in (image, drawn):
        if picture is not None:
            pipe.write(picture.data.cast("B"))


def main(settings: str) -> int:
    """Read the source of ``settings`` (JSON) until it ends or nobody reads any more."""
    die_with_parent()
    stay_in_memory()
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    sys.stdout = sys.stderr  # what a library prints must not get between the frames
    os.dup2(sys.stderr.fileno(), 1)
    journal.configure(logging.WARNING)  # its mode was logged when the camera was opened in the parent
    with suppress(BrokenPipeError, KeyboardInterrupt):  # the parent has gone, or ends us
        try:
            _copy(settings, pipe)
            return 0
        except (BrokenPipeError, KeyboardInterrupt):
            raise
        except EdgeError as error:  # the parent logs it: once, where a child would at every attempt
            _say(pipe, FAULT, str(error))
        except Exception as error:
            _say(pipe, FAULT, f"{type(error).__name__}: {error}")
        return 2
    return 0


def _copy(settings: str, pipe: IO[bytes]) -> None:
    with open_source(SourceConfig(**json.loads(settings))) as source, NewestFrames(source) as frames:
        _say(pipe, OPENED)
        for frame in frames:
            _write(pipe, frame, frames.dropped)


if __name__ == "__main__":
    os._exit(main(sys.stdin.read()))  # a thread that hangs in its library must not hold the process up
