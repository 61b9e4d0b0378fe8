"""A camera in a process of its own, which can be killed where a thread cannot.

``python -m edge.capture.child`` takes the source's settings as JSON on standard input (an address may hold
a password, which a command line would show) and writes its newest frames to standard output: a header of
fixed size, then the pixels.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from types import TracebackType
from typing import IO

import numpy as np

from edge.capture.slot import NewestFrames
from edge.config import Config, SourceConfig
from edge.data import Frame
from edge.errors import EdgeError, RestartNeeded, SourceError
from edge.health import logs
from edge.process import START, die_with_parent

log = logging.getLogger("edge")
HEADER = struct.Struct("<4sIIIdI?")  # magic, height, width, channels (0: luma), time s, index, limited range
MAGIC = b"EdF1"
DIES_S = 3.0  # a process that outlives SIGKILL for so long hangs in the kernel, in a driver


class ChildSource:
    """The source of ``settings`` as another process reads it; frames as a live source gives them."""

    live = True

    def __init__(self, settings: SourceConfig) -> None:
        self.frame_count: int | None = None
        command = [sys.executable, "-m", "edge.capture.child"]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, cwd=START)
        assert self._child.stdin is not None
        with self._child.stdin as told:
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
        """Yield frames until the process ends, which is a SourceError."""
        pipe = self._child.stdout
        assert pipe is not None
        while (frame := _read(pipe)) is not None:
            yield frame
        raise SourceError(f"the capture process ended with {self._child.wait()}")

    def kill(self) -> None:
        """End the process; RestartNeeded where not even SIGKILL does."""
        self._child.kill()
        try:
            self._child.wait(DIES_S)
        except subprocess.TimeoutExpired as error:
            raise RestartNeeded(
                f"the capture process {self._child.pid} does not die; its driver hangs"
            ) from error


def _read(pipe: IO[bytes]) -> Frame | None:
    """The next frame; None at the end. A stream that is out of step raises SourceError."""
    head = pipe.read(HEADER.size)
    if len(head) < HEADER.size:
        return None
    magic, height, width, channels, time_s, index, limited = HEADER.unpack(head)
    if magic != MAGIC:
        raise SourceError(f"the capture process wrote {magic!r} where a frame begins")
    shape = (height, width, channels) if channels else (height, width)
    image = np.empty(shape, np.uint8)
    if pipe.readinto(image.data.cast("B")) < image.nbytes:  # type: ignore[attr-defined]
        return None
    return Frame(image, time_s, index, "limited" if limited else "full")


def _write(pipe: IO[bytes], frame: Frame) -> None:
    image = np.ascontiguousarray(frame.image)
    height, width = image.shape[:2]
    channels = image.shape[2] if image.ndim == 3 else 0
    limited = frame.luma_range == "limited"
    pipe.write(HEADER.pack(MAGIC, height, width, channels, frame.timestamp_s, frame.index, limited))
    pipe.write(image.data.cast("B"))
    pipe.flush()


def main(settings: str) -> int:
    """Read the source of ``settings`` (JSON) until it ends or nobody reads any more."""
    from edge import build

    logs.configure()
    die_with_parent()
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    sys.stdout = sys.stderr  # what a library prints must not get between the frames
    os.dup2(sys.stderr.fileno(), 1)
    try:
        made = build.source(Config(source=SourceConfig(**json.loads(settings))))
        with made as source, NewestFrames(source) as frames:
            for frame in frames:
                _write(pipe, frame)
    except EdgeError as error:
        log.error("%s", error)
        return 2
    except (BrokenPipeError, KeyboardInterrupt):
        pass  # the parent has gone, or ends us
    return 0


if __name__ == "__main__":
    os._exit(main(sys.stdin.read()))  # a thread that hangs in its library must not hold the process up
