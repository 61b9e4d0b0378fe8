"""What runs as a capture process: a real one, with a stand-in for the camera that it opens."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator
from functools import partial

from failing_camera import Camera

from edge.capture.reconnect.subprocess_source import ChildSource
from edge.data import Frame

CAPTURE_PROCESS = """
import itertools, os, sys, time
import numpy as np
from dataclasses import replace
from edge.capture import sources
from edge.capture.reconnect import subprocess_source
from edge.data import Frame
from edge.errors import SourceError

NOISE = np.random.default_rng(0).integers(0, 256, (64, 48, 48), dtype=np.uint8)


class Camera:
    live, frame_count = True, None

    def __init__(self, about):
        self.kind, self.draw = about.address.removeprefix("picam://"), about.draw
        if self.kind == "late":
            time.sleep(1.2)
        if self.kind == "busy":
            raise SourceError("the camera is busy")
        if self.kind == "bug":
            raise ValueError("a bug in the library")

    def __enter__(self):
        return self

    def __exit__(self, *about):
        pass

    def frames(self):
        for index in itertools.count():
            time.sleep(60 if self.kind == "silent" else 0.002)
            picture = NOISE[index % 64]
            drawn = np.stack([picture[:40]] * 3, axis=-1) if self.draw else None
            yield Frame(picture, time.monotonic(), index, "limited", drawn)


sources.SOURCES = tuple(
    replace(part, load=Camera) if part.name == "picam" else part for part in sources.SOURCES
)
os._exit(subprocess_source.main(sys.stdin.read()))
"""


class Undying(ChildSource):
    """A capture process that stands still after five frames and that SIGKILL does not end (state D)."""

    def __init__(self, opener: partial[ChildSource], **more) -> None:
        super().__init__(*opener.args, **opener.keywords, **more)
        self.real_kill, self._child.kill = self._child.kill, lambda: None

    def frames(self) -> Iterator[Frame]:
        yield from itertools.islice(super().frames(), 5)
        os.kill(self._child.pid, signal.SIGSTOP)
        Camera.over.wait(60)

    def dies_at_last(self) -> None:
        self.real_kill()
        self._child.wait()
        Camera.over.set()  # for the reading thread, which closes the pipe
        end = time.monotonic() + 5
        while not self._child.stdout.closed and time.monotonic() < end:
            time.sleep(0.01)
