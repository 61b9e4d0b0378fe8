"""Frames that come at a camera's rate, whether anybody waits for them or not, and what is seen of them.

What is noted goes into memory that was taken before: a soak must not find the growth of its own lists.
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
from types import TracebackType

import numpy as np

from edge.capture.reconnect.latest_frame import NewestFrames
from edge.capture.reconnect.reconnect import Recovering
from edge.data import Frame
from edge.errors import EdgeError
from edge.pipeline import Pipeline
from edge.protocols import Source
from edge.recognition.scheduling import is_due

Opened = Recovering | NewestFrames


class PacedCamera:
    """A live source that gives ``frames`` there and back without end at ``fps``, each due at its own time."""

    live = True
    frame_count: int | None = None

    def __init__(self, frames: Sequence[Frame], fps: float) -> None:
        self._frames, self._fps = [*frames, *reversed(frames)], fps

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass  # nothing is held

    def frames(self) -> Iterator[Frame]:
        """Yield each frame when it is due, or at once where that is over."""
        began = time.monotonic()
        for index, frame in enumerate(cycle(self._frames)):
            due = began + index / self._fps
            time.sleep(max(due - time.monotonic(), 0.0))
            yield replace(frame, timestamp_s=due, index=index)


class Numbers:
    """Floats in memory that is taken and touched before the first one comes; more room where it runs out."""

    def __init__(self, most: int) -> None:
        self._room, self._used = np.full(max(most, 16), np.nan), 0

    def append(self, value: float) -> None:
        if self._used == len(self._room):
            self._room = np.concatenate([self._room, np.full_like(self._room, np.nan)])
        self._room[self._used] = value
        self._used += 1

    def floats(self) -> list[float]:
        return [float(value) for value in self._room[: self._used]]


class Watched:
    """What was seen after a warm-up: when frames were done, and the age of each with a new estimate."""

    def __init__(self, began_s: float, most: int = 0) -> None:
        self.began_s = began_s  # monotonic; times_s and done_s count from here
        self.done_s, self.times_s, self.ages_ms = Numbers(most), Numbers(most), Numbers(most)
        self.lost: Counter[str] = Counter()  # frames dropped or refused

    def frame(self, frame: Frame, now: float, fresh: bool) -> None:
        """Note a frame that was done at ``now``."""
        self.done_s.append(now - self.began_s)
        if fresh:
            self.times_s.append(now - self.began_s)
            self.ages_ms.append(1e3 * (now - frame.timestamp_s))


def at_tick(coming: Iterator[Frame], step_hz: float, later: int) -> None:
    """Let frames pass until one is due for a step of the network, and ``later`` frames more."""
    last_s: float | None = None
    for frame in coming:
        if last_s is not None and is_due(last_s, frame.timestamp_s, step_hz):
            break
        last_s = frame.timestamp_s
    for _ in islice(coming, later):
        pass


def watch(
    pipeline: Pipeline, coming: Iterator[Frame], opened: Opened, seen: Watched, seconds: float, warm_s: float
) -> None:
    """Work on the frames that come for ``warm_s``, then note ``seconds`` of them in ``seen``."""
    since: float | None = None
    before: Counter[str] | None = None
    for frame in coming:
        estimates = pipeline.step(frame)
        now = time.monotonic()
        pipeline.recognizer.engine.tick()
        since = now if since is None else since
        if now - since >= warm_s:
            before = _lost(opened) if before is None else before
            seen.frame(frame, now, any(estimate.fresh for estimate in estimates))
        if now - since >= warm_s + seconds:
            break
    seen.lost = _lost(opened) - (before if before is not None else _lost(opened))


def _lost(opened: Opened) -> Counter[str]:
    return Counter({"dropped": opened.dropped, **opened.bad})


# Keeps one core busy until the process that started it is gone; a session of its own hears no Ctrl-C.
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
    """The ids of ``count`` processes that do nothing else than keep a core busy, all at it already."""
    spinners: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            words = [sys.executable, "-I", "-S", "-c", _SPIN]
            spinners.append(subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True))
        for spinner in spinners:
            assert spinner.stdout is not None
            if not spinner.stdout.readline():
                raise EdgeError(f"process {spinner.pid}, which was to keep a core busy, ended at once")
        yield [spinner.pid for spinner in spinners]
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.communicate()
