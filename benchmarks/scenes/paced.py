"""Frames at a camera's rate, whether or not anyone waits for them, and a record of what became of them.

The record is allocated in advance: a soak must not measure the growth of its own lists.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle, islice

import numpy as np

from edge.capture.reconnect.latest_frame import NewestFrames
from edge.capture.reconnect.reconnect import Recovering
from edge.data import Frame
from edge.errors import EdgeError
from edge.pipeline import Pipeline
from edge.recognition.scheduling import is_due
from edge.system.closing import Closing

Camera = Recovering | NewestFrames


class PacedCamera(Closing):
    """A live source that repeats ``frames`` forward and backward at ``fps``, each due at its own time."""

    live = True
    frame_count: int | None = None

    def __init__(self, frames: Sequence[Frame], fps: float) -> None:
        self._frames, self._fps = [*frames, *reversed(frames)], fps

    def frames(self) -> Iterator[Frame]:
        """Yield each frame when it is due, or immediately if it is overdue."""
        began = time.monotonic()
        for index, frame in enumerate(cycle(self._frames)):
            due = began + index / self._fps
            time.sleep(max(due - time.monotonic(), 0.0))
            yield replace(frame, timestamp_s=due, index=index)


class Numbers:
    """A list of floats whose memory is allocated and touched in advance, and extended only if it runs out."""

    def __init__(self, most: int) -> None:
        self._room, self._used = np.full(max(most, 16), np.nan), 0

    def append(self, value: float) -> None:
        if self._used == len(self._room):
            self._room = np.concatenate([self._room, np.full_like(self._room, np.nan)])
        self._room[self._used] = value
        self._used += 1

    def floats(self) -> list[float]:
        return [float(value) for value in self._room[: self._used]]


class Record:
    """A record after the warm-up: when each frame was done, and the age of each that has a new estimate."""

    def __init__(self, began_s: float, most: int = 0) -> None:
        self.began_s = began_s  # monotonic; times_s and done_s count from here
        self.done_s, self.times_s, self.ages_ms = Numbers(most), Numbers(most), Numbers(most)
        self.lost: Counter[str] = Counter()  # frames dropped or refused

    def frame(self, frame: Frame, now: float, fresh: bool) -> None:
        """Record a frame that was done at ``now``."""
        self.done_s.append(now - self.began_s)
        if fresh:
            self.times_s.append(now - self.began_s)
            self.ages_ms.append(1e3 * (now - frame.timestamp_s))


def skip_to_tick(frames: Iterator[Frame], step_hz: float, later: int) -> None:
    """Skip frames up to the next one that is due for a step of the network, and ``later`` more."""
    last_s: float | None = None
    for frame in frames:
        if last_s is not None and is_due(last_s, frame.timestamp_s, step_hz):
            break
        last_s = frame.timestamp_s
    for _ in islice(frames, later):
        pass


def watch(
    pipeline: Pipeline, frames: Iterator[Frame], camera: Camera, record: Record, seconds: float, warm_s: float
) -> None:
    """Process ``frames`` of ``camera`` for ``warm_s``, then for ``seconds`` that are kept in ``record``."""
    since: float | None = None
    before: Counter[str] | None = None
    for frame in frames:
        estimates = pipeline.step(frame)
        now = time.monotonic()
        since = now if since is None else since
        if now - since >= warm_s:
            before = _lost(camera) if before is None else before
            record.frame(frame, now, any(estimate.fresh for estimate in estimates))
        if now - since >= warm_s + seconds:
            break
    record.lost = _lost(camera) - (before if before is not None else _lost(camera))


def no_estimate(counts: Counter[str]) -> EdgeError:
    """The error for a run in which no face was seen."""
    return EdgeError(
        f"{counts['frames']} frames, {counts['dropped']} dropped, and no estimate: no face was visible "
        "for long enough; show one to the camera, or omit CAMERA and --video for the built-in scene"
    )


def _lost(camera: Camera) -> Counter[str]:
    return Counter({"dropped": camera.dropped, **camera.bad})


# Keeps one core busy until its parent process is gone.
_SPIN = """
import os
parent = os.getppid()
print(flush=True)
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


@contextmanager
def busy(count: int) -> Iterator[list[int]]:
    """The ids of ``count`` processes that each keep a core busy, all of them running already."""
    spinners: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            command = [sys.executable, "-I", "-S", "-c", _SPIN]
            # In a session of its own it does not receive Ctrl-C.
            spinners.append(subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True))
        for spinner in spinners:
            assert spinner.stdout is not None
            if not spinner.stdout.readline():
                raise EdgeError(f"process {spinner.pid}, meant to keep a core busy, exited immediately")
        yield [spinner.pid for spinner in spinners]
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.communicate()
