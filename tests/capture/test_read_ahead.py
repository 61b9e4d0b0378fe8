"""Reading ahead changes when a frame is read, and nothing else."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Generator
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture.read_ahead import MOST, ReadAhead
from edge.data import Frame
from edge.errors import SourceError

PATIENCE_S = 5.0  # a machine under load is slow; a hanging one is slower still


class Reading:
    """Frames, of which it knows how many were read and where they were given back."""

    def __init__(self, count: int, fails: bool = False) -> None:
        self.count, self.fails = count, fails
        self.read = 0
        self.closed_on = ""

    def frames(self) -> Generator[Frame, None, None]:
        try:
            for index in range(self.count):
                self.read += 1
                yield Frame(np.zeros((2, 2), np.uint8), index / 10, index)
            if self.fails:
                raise SourceError("it breaks off")
        finally:
            self.closed_on = threading.current_thread().name


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 30), st.booleans(), st.integers(0, 3))
def test_every_frame_comes_in_its_order_and_then_the_error(count: int, fails: bool, lazy: int) -> None:
    reading, seen = Reading(count, fails), []

    def take() -> None:
        for frame in ReadAhead(reading.frames()):
            seen.append(frame.index)
            if lazy and frame.index % lazy == 0:
                time.sleep(0.0003)

    if fails:
        with pytest.raises(SourceError, match="breaks off"):
            take()
    else:
        take()
    assert seen == list(range(count))
    assert reading.closed_on == "decode"


def test_it_reads_at_most_three_frames_ahead() -> None:
    reading = Reading(10**9)
    frames = iter(ReadAhead(reading.frames()))
    for taken in range(1, 20):
        next(frames)
        end = time.monotonic() + PATIENCE_S
        while reading.read < taken + MOST + 1 and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(0.002)
        assert reading.read == taken + MOST + 1
    frames.close()


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_whoever_leaves_leaves_no_thread_behind(taken: int) -> None:
    reading = Reading(10**9)
    ahead = ReadAhead(reading.frames())
    for _ in islice(ahead, taken):
        pass
    ahead.stop()
    assert not ahead._thread.is_alive()
    assert reading.closed_on == ("decode" if taken else "")
    ahead.stop()


def test_stopped_within_the_loop_it_ends() -> None:
    ahead = ReadAhead(Reading(10**9).frames())
    seen = []
    for frame in ahead:
        seen.append(frame.index)
        if len(seen) == 4:
            ahead.stop()
    assert seen == [0, 1, 2, 3]


def test_a_frame_is_not_kept() -> None:
    frames = iter(ReadAhead(Reading(5).frames()))
    first = next(frames)
    kept = weakref.ref(first.image)
    del first
    next(frames)
    gc.collect()
    assert kept() is None
    frames.close()
