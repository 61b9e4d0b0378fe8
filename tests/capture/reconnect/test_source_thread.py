"""A thread that opens, reads and closes a camera, each of which may hang."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

from failing_camera import Beats, Camera, limits, take

from edge.capture.reconnect import reconnect, source_thread
from edge.capture.reconnect.reconnect import Recovering
from edge.capture.reconnect.source_thread import in_time
from edge.capture.reconnect.timeouts import Timeouts
from edge.data import Frame


def test_a_close_that_hangs_is_a_hang(caplog) -> None:

    class BadClose(Camera):
        def __exit__(self, *about) -> None:
            self.closed.set()
            if threading.current_thread().name == "closing":
                self.over.wait(60)

        def frames(self) -> Iterator[Frame]:
            yield from itertools.islice(super().frames(), 5)
            self.closed.wait(60)

    with Recovering(BadClose, lambda: Camera(10**6), limits(closing_s=0.3)) as live:
        take(live, 50)
        assert live.rungs == {"reopened": 1, "threads abandoned": 1, "child processes": 1}
        assert [t.name for t in threading.enumerate()].count("closing") == 1


def test_a_close_that_takes_its_time_is_none() -> None:
    class SlowClose(Camera):
        def __exit__(self, *about) -> None:
            self.closed.set()
            time.sleep(Timeouts.grace_s + 0.6)

        def frames(self) -> Iterator[Frame]:
            yield from itertools.islice(super().frames(), 5)
            self.closed.wait(60)

    cameras = iter([SlowClose(), Camera(10**6)])
    with Recovering(lambda: next(cameras), None, limits()) as live:
        take(live, 20)
        assert live.rungs == {"reopened": 1}


def test_a_camera_that_opens_after_it_was_given_up_is_closed_at_once() -> None:
    class Late(Camera):
        def __enter__(self):
            self.over.wait(60)
            return self

        def frames(self) -> Iterator[Frame]:
            raise AssertionError("nobody reads any more")

    late = Late()
    tried = source_thread.Attempt(lambda: late, reconnect.Slot(), Timeouts())
    assert not tried.end(lambda: None)
    Camera.over.set()
    assert late.closed.wait(5)
    assert tried.reader.stop(5)
    assert tried.reader.error is None


def test_in_time_tells_that_it_waits() -> None:
    beats = Beats()
    assert not in_time(lambda wait_s: bool(time.sleep(wait_s)), 1.2, beats)
    assert beats.longest_gap_s() < 1.0
    assert in_time(lambda _: True, 0.0, beats)
    assert not in_time(lambda _: False, 0.0, beats)
