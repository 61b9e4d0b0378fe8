"""Cameras that hang or refuse to open, and an ``idle`` that remembers when it was told."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import numpy as np

from edge.capture.reconnect.reconnect import Recovering
from edge.capture.reconnect.timeouts import Timeouts
from edge.data import Frame
from edge.errors import SourceError

STALL_S = 0.3
NOISE = np.random.default_rng(0).integers(0, 256, (64, 48, 48), dtype=np.uint8)


def limits(**more: float) -> Timeouts:
    """Little patience, so that the tests are quick."""
    return Timeouts(stall_s=STALL_S, **more)


class Camera:
    """Gives ``good`` frames at 200 fps, then ``then``: hangs until the test ends, or refuses to open."""

    live, frame_count = True, None
    over = threading.Event()

    def __init__(self, good: int = 5, then: str = "hangs", moves: bool = True) -> None:
        self.good, self.then, self.moves = good, then, moves
        self.closed = threading.Event()

    def __enter__(self):
        if self.then == "refuses":
            raise SourceError("no such device")
        return self

    def __exit__(self, *about) -> None:
        self.closed.set()

    def frames(self) -> Iterator[Frame]:
        for index in range(self.good):
            time.sleep(0.005)
            if self.closed.is_set():
                return
            yield Frame(NOISE[index % 64 if self.moves else 0], time.monotonic(), index)
        if self.then == "hangs":
            self.over.wait(60)


def take(frames: Recovering, count: int) -> list[Frame]:
    return list(itertools.islice(frames, count))


class Beats:
    """An ``idle`` that remembers when it was told, and leaves ``live`` after ``seconds``."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.at = [time.monotonic()]
        self.seconds = seconds
        self.live: Recovering | None = None

    def __call__(self) -> None:
        self.at.append(time.monotonic())
        if self.live is not None and self.at[-1] - self.at[0] > self.seconds:
            self.live.leave()

    def longest_gap_s(self) -> float:
        return float(np.diff([*self.at, time.monotonic()]).max())
