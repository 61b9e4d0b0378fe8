"""Paced frames: phases, what counts after the warm-up, and cores that are kept busy quietly."""

from __future__ import annotations

import os
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.scenes import paced
from edge.capture.reconnect.reconnect import Recovering
from edge.data import Frame
from edge.errors import EdgeError

HZ, FPS = 10.0, 30.0


def numbered(start: int = 0):
    """Frames of a clock whose every third one is due for a step; half a frame away from the tick."""
    at = start
    while True:
        yield Frame(np.zeros((16, 16), np.uint8), (at + 0.5) / FPS, at)
        at += 1


class Works:
    """A pipeline that notes what it got; every ``every``-th frame is fresh."""

    def __init__(self, every: int = 3) -> None:
        self.seen: list[int] = []
        self._every = every

    def step(self, frame):
        self.seen.append(frame.index)
        return [SimpleNamespace(fresh=frame.index % self._every == 0)]


class Camera:
    """Frames that lose one beside each that they give."""

    def __init__(self) -> None:
        self.dropped, self.bad = 0, Counter()

    def __iter__(self):
        for frame in numbered():
            time.sleep(0.002)
            self.dropped += 1
            yield frame


@pytest.mark.parametrize("start", [0, 1, 2, 7])
@pytest.mark.parametrize("later", [0, 1, 2])
def test_a_round_begins_in_its_phase_wherever_the_last_one_ended(start: int, later: int) -> None:
    coming = numbered(start)
    paced.skip_to_tick(coming, HZ, later)
    assert next(coming).index % 3 == (later + 1) % 3


def test_the_warm_up_counts_neither_frames_nor_drops() -> None:
    camera, works, record = Camera(), Works(), paced.Record(time.monotonic())
    paced.watch(works, iter(camera), camera, record, seconds=0.1, warm_s=0.05)
    counted = len(record.done_s.floats())
    assert 0 < counted < len(works.seen)
    # One is lost before each frame, and the first that counts came before the counting.
    assert record.lost == {"dropped": counted - 1}
    assert len(record.ages_ms.floats()) == sum(at % 3 == 0 for at in works.seen[-counted:])


def test_a_paced_camera_goes_on_for_as_long_as_anybody_listens(caplog) -> None:
    """It used to end with the run, and Recovering opened it again in the last frame."""
    frames = [Frame(np.random.default_rng(0).integers(0, 255, (16, 16), np.uint8), 0.0, 0)] * 2
    with Recovering(lambda: paced.PacedCamera(frames, 200.0), None) as camera:
        record = paced.Record(time.monotonic())
        paced.watch(Works(), iter(camera), camera, record, seconds=0.2, warm_s=0.0)
    assert len(record.done_s.floats()) > 10
    assert not camera.rungs
    assert not caplog.records


def test_memory_is_taken_before_the_numbers_come_and_grows_where_it_must() -> None:
    numbers = paced.Numbers(0)
    for value in range(100):
        numbers.append(value)
    assert numbers.floats() == [float(value) for value in range(100)]


def test_no_estimate_is_told_with_the_number_of_frames() -> None:
    with pytest.raises(EdgeError, match=r"7 frames, 2 dropped, and no estimate"):
        raise paced.no_estimate(Counter({"frames": 7, "dropped": 2}))


def test_busy_processes_are_busy_at_once_and_gone_afterwards() -> None:
    with paced.busy(1) as (pid,):
        before, deadline = _ticks(pid), time.monotonic() + 10  # a loaded machine may keep it waiting
        while _ticks(pid) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert _ticks(pid) > before
    assert not os.path.exists(f"/proc/{pid}")


def _ticks(pid: int) -> int:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return int(file.read().rpartition(")")[2].split()[11])
