"""Own times of stages: nothing is counted twice, nothing is lost."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from benchmarks.core.stages import Stages


class Clock:
    def __init__(self, monkeypatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    return Clock(monkeypatch)


def test_the_clock_of_a_room_stops_while_a_room_inside_works(clock) -> None:
    stages = Stages()
    inner = stages.timed("network", lambda: clock.work(3))

    def outer() -> None:
        clock.work(1)
        inner()
        clock.work(2)
        inner()

    stages.timed("select", outer)()
    stages.frame_done(clock.now)
    assert stages.milliseconds() == {"select": [3000.0], "network": [6000.0]}
    assert stages.reconciled() == 1.0


def test_what_lies_between_the_stages_shows(clock) -> None:
    stages = Stages()
    stages.timed("detect", lambda: clock.work(9))()
    clock.work(1)
    stages.frame_done(clock.now)
    assert stages.reconciled() == pytest.approx(0.9)


def test_a_room_that_fails_closes_its_clock(clock) -> None:
    stages = Stages()

    def fails() -> None:
        clock.work(1)
        raise ValueError("no")

    def outer() -> None:
        with pytest.raises(ValueError, match="no"):
            stages.timed("network", fails)()
        clock.work(2)

    stages.timed("select", outer)()
    stages.frame_done(clock.now)
    assert stages.milliseconds() == {"select": [2000.0], "network": [1000.0]}


def test_the_wait_for_a_frame_belongs_to_the_frame_it_gives(clock) -> None:
    stages, seen = Stages(), []

    def source():
        for index in range(3):
            clock.work(index + 1)
            yield SimpleNamespace(index=index)

    started = 0.0
    for frame in stages.each("decode", source()):
        stages.frame_done(clock.now - started)
        started = clock.now
        seen.append(frame.index)
    assert seen == [0, 1, 2]
    assert stages.milliseconds() == {"decode": [1000.0, 2000.0, 3000.0]}
