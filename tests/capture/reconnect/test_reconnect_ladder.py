"""From rung to rung: a thread that hangs, a capture process that is no better, and the fresh start of it all.

The capture processes are real ones, with a stand-in for the camera that they open.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from failing_camera import NOISE, Beats, Camera, limits, take

from edge.capture.reconnect import reconnect
from edge.capture.reconnect.reconnect import Recovering
from edge.capture.reconnect.timeouts import Timeouts
from edge.data import Frame
from edge.errors import RestartNeeded


def test_a_camera_that_an_abandoned_thread_keeps_asks_for_a_restart(capture_process, caplog, capfd) -> None:
    beats = Beats()
    live = Recovering(
        Camera,
        capture_process("busy"),
        limits(held_s=3.0, longest_wait_s=0.2),
        patient=True,
        idle=beats,
    )
    began = time.monotonic()
    with live, pytest.raises(RestartNeeded, match="the camera is busy"):
        take(live, 20)
    assert 3.0 < time.monotonic() - began < 12.0
    assert live.rungs["reopened"] >= 3
    told = [record.message for record in caplog.records if "busy" in record.message]
    assert told == ["no frame in the child process: the camera is busy; reopening"], "told once per outage"
    assert "busy" not in capfd.readouterr().err, "the process itself logs nothing"
    assert beats.longest_gap_s() < 2


def test_a_camera_that_is_unplugged_is_waited_for() -> None:
    cameras = itertools.chain([Camera(5, "ends")], itertools.repeat(Camera(0, "refuses")))
    beats = Beats(2.5)
    beats.live = Recovering(lambda: next(cameras), Camera, limits(held_s=0.5, longest_wait_s=0.2), idle=beats)
    with beats.live as live:
        assert len(list(live)) == 5
    assert live.rungs.keys() == {"reopened"}


def test_a_capture_process_is_given_the_whole_time_in_every_outage() -> None:
    """One that had frames, good or bad, has the camera."""

    class Malformed(Camera):
        def frames(self) -> Iterator[Frame]:
            for index in itertools.count():
                time.sleep(0.01)
                if self.closed.is_set():
                    return
                yield Frame(NOISE[0][:8], time.monotonic(), index)

    apart = iter([Camera(400, "ends"), Camera(0, "refuses"), *(Malformed() for _ in range(4)), Camera(400)])
    live = Recovering(
        Camera,
        lambda: next(apart),
        limits(held_s=1.0, bad_s=0.4, longest_wait_s=0.05),
        patient=True,
    )
    with live:
        assert len(take(live, 5 + 400 + 50)) == 455
    assert live.rungs["reopened"] == 7


def test_a_capture_process_may_take_its_time_to_open(capture_process) -> None:
    with Recovering(Camera, capture_process("late"), limits()) as live:
        assert len(take(live, 20)) == 20
        assert live.rungs == {"reopened": 1, "threads abandoned": 1, "child processes": 1}


def test_a_capture_process_that_is_open_is_to_give_frames(capture_process) -> None:
    with Recovering(Camera, capture_process("silent"), limits(held_s=0.1)) as live:
        began = time.monotonic()
        with pytest.raises(RestartNeeded, match="none arrived"):
            take(live, 20)
        assert time.monotonic() - began < Timeouts.opening_s - 2


def test_drops_of_every_capture_process_add_up() -> None:
    class Apart(Camera):
        opened_s, dropped = 0.0, 0

        def frames(self) -> Iterator[Frame]:
            yield from super().frames()
            self.dropped = 7

        def kill(self, idle: Callable[[], None]) -> None:
            self.closed.set()

    apart = iter([Apart(5, "ends"), Apart(5, "ends"), Apart(400)])
    with Recovering(Camera, lambda: next(apart), limits(longest_wait_s=0.05)) as live:
        frames = iter(live)
        while live.rungs["reopened"] < 3:
            next(frames)
        assert live.dropped >= 14


def test_a_still_picture_is_opened_again_ever_more_seldom() -> None:
    """A network camera codes a still scene as nothing: every decoded frame is the same."""
    opened: list[float] = []

    class Still(Camera):
        def __enter__(self):
            opened.append(time.monotonic())
            self.picture = NOISE[len(opened)]  # the first picture of a stream is coded anew
            return self

        def frames(self) -> Iterator[Frame]:
            while not self.closed.wait(0.01):
                yield Frame(self.picture, time.monotonic(), 0)

    beats = Beats(4.5)
    beats.live = Recovering(
        lambda: Still(), None, Timeouts(stall_s=2.0, bad_s=0.25, frozen_s=0.1), idle=beats
    )
    with beats.live as live:
        assert list(live), "each opening gives some good frames"
    gaps = np.diff(opened)
    assert len(gaps) in (3, 4), "0.25 s, 0.5 s, 1 s, 2 s of frozen frames"
    assert np.all(gaps[1:] > 1.4 * gaps[:-1]), gaps


def test_a_mended_camera_is_opened_again_as_soon_as_ever() -> None:
    unusable = reconnect._Unusable(Timeouts())

    def first_due(since: int) -> int:
        unusable.opened()
        return next(at - since for at in range(since, since + 1000) if unusable.due("frozen", at))

    assert [first_due(since) for since in range(0, 8000, 1000)] == [10, 20, 40, 80, 160, 300, 300, 300]
    for good_s, wait_s in ((5, 300), (11, 10)):
        unusable.good(9000.0)
        unusable.good(9000.0 + good_s)
        assert first_due(9100) == wait_s, "some good frames come after every opening"
    assert unusable.due("black", 9999) is None
