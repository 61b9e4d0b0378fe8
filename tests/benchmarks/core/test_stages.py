"""Own times of stages: nothing is counted twice, nothing is lost."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.core.stages import Stages, measure
from edge.data import Frame
from edge.errors import EdgeError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_clock_of_a_stage_stops_while_an_inner_stage_runs(clock) -> None:
    stages = Stages(clock)
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
    stages = Stages(clock)
    stages.timed("detect", lambda: clock.work(9))()
    clock.work(1)
    stages.frame_done(clock.now)
    assert stages.reconciled() == pytest.approx(0.9)


def test_a_stage_that_fails_stops_its_clock(clock) -> None:
    stages = Stages(clock)

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
    stages, seen = Stages(clock), []

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


class Part:
    """Stands for every part of a pipeline."""

    def __init__(self) -> None:
        self.detect = self.update = self.crop = self.run = self.decide = lambda *_: None


def known():
    engine = Part()
    recognizer = SimpleNamespace(
        engine=engine, update=lambda *_: None, crop=lambda *_: None, decide=lambda *_: None
    )
    work = SimpleNamespace(detector=Part(), tracker=Part(), recognizer=recognizer, sinks=[])
    work.step = lambda frame: [SimpleNamespace(fresh=True)]
    return work


def some(count: int):
    return iter([Frame(np.zeros((16, 16), np.uint8), at / 30, at) for at in range(count)])


def none() -> dict[str, int]:
    return {"frames": 0, "faces": 0, "estimates": 0}


@pytest.mark.parametrize("frames", [0, 5, 10])
def test_a_source_that_the_warm_up_takes_whole_is_refused_with_its_length(frames: int) -> None:
    with pytest.raises(EdgeError, match=rf"{frames} frames came, and the first 10 .* --frames"):
        measure(known(), some(frames), Stages(), none())


def test_the_time_of_a_step_outside_its_stages_is_the_loop_s() -> None:
    work, stages, counts = known(), Stages(), none()
    step, work.step = work.step, lambda frame: (time.sleep(0.001), step(frame))[1]
    measure(work, some(30), stages, counts)
    assert counts["frames"] == 20
    assert min(stages.milliseconds()["loop"]) > 0.9, "a stage of the frame, so that the sum still holds"
    assert stages.reconciled() > 0.9


def test_the_wait_for_a_camera_is_no_decoding_and_no_work() -> None:
    def slow():
        for frame in some(15):
            time.sleep(0.01)
            yield frame

    stages = Stages()
    measure(known(), slow(), stages, none(), "capture")
    found = stages.milliseconds()
    assert min(found["capture"]) >= 10
    assert "decode" not in found
    assert max(stages.working()) < min(stages.totals), "working time leaves it out"
