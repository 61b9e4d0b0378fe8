"""A live source gives its newest frame; a file gives all of them; nothing hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture.reconnect.latest_frame import NewestFrames
from edge.data import Frame
from edge.errors import SourceError

PATIENCE_S = 5.0  # a machine under load is slow; a hanging one is slower still


class FakeSource:
    """Gives ``count`` frames, with a call before each and one after the last."""

    def __init__(self, count: int, live: bool, before: Callable[[int], None] = lambda i: None) -> None:
        self.live = live
        self.frame_count: int | None = None
        self.count = count
        self.before = before
        self.released = threading.Event()

    def __enter__(self) -> FakeSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def frames(self) -> Iterator[Frame]:
        try:
            for i in range(self.count):
                self.before(i)
                yield Frame(np.zeros((2, 2), np.uint8), i / 10, i)
            self.before(self.count)
        finally:
            self.released.set()


def test_a_file_passes_straight_through() -> None:
    with NewestFrames(FakeSource(50, live=False)) as frames:
        assert [frame.index for frame in frames] == list(range(50))
        assert frames.dropped == 0


@pytest.mark.parametrize(
    ("count", "live", "stills"), [(1, False, [True]), (2, False, [False] * 2), (0, False, [])]
)
def test_an_only_frame_is_a_still(count: int, live: bool, stills: list[bool]) -> None:
    with NewestFrames(FakeSource(count, live)) as frames:
        assert [frame.still for frame in frames] == stills


def test_the_first_frame_of_a_camera_that_ends_is_no_still() -> None:
    with NewestFrames(FakeSource(1, live=True)) as frames:
        assert not any(frame.still for frame in frames)


def test_a_file_that_breaks_off_after_its_first_frame_is_no_still() -> None:
    def broken(index: int) -> None:
        if index == 1:
            raise SourceError("it breaks off")

    with NewestFrames(FakeSource(5, live=False, before=broken)) as frames:
        rest = iter(frames)
        assert not next(rest).still
        with pytest.raises(SourceError, match="breaks off"):
            next(rest)


def test_only_the_newest_frame_waits() -> None:
    done = threading.Event()
    source = FakeSource(10, live=True, before=lambda i: done.set() if i == 10 else None)
    with NewestFrames(source) as frames:
        assert done.wait(PATIENCE_S)
        assert [frame.index for frame in frames] == [9], "a finite live source ends after its newest frame"
        assert frames.dropped == 9


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 60), st.integers(0, 3))
def test_frames_rise_and_none_is_lost_uncounted(count: int, lazy: int) -> None:
    taken: list[int] = []
    with NewestFrames(FakeSource(count, live=True)) as frames:
        for frame in frames:
            taken.append(frame.index)
            if lazy and frame.index % lazy == 0:
                time.sleep(0.0002)
    assert taken == sorted(set(taken))
    assert len(taken) + frames.dropped == count
    assert not taken or taken[-1] == count - 1, "the last frame has to arrive"


def test_the_sources_fault_arrives_after_its_last_frame() -> None:
    def fail(i: int) -> None:
        if i == 3:
            raise SourceError("the camera has gone")

    seen: list[int] = []
    with NewestFrames(FakeSource(9, live=True, before=fail)) as frames:
        watched = (seen.append(frame.index) for frame in frames)
        with pytest.raises(SourceError, match="has gone"):
            list(watched)
    assert seen[-1] == 2


def test_closing_stops_the_thread() -> None:
    source = FakeSource(10**9, live=True, before=lambda i: time.sleep(0.001))
    with NewestFrames(source) as frames:
        next(iter(frames))
    assert source.released.wait(PATIENCE_S)


def test_a_blocked_camera_does_not_hold_up_closing() -> None:
    gate = threading.Event()
    source = FakeSource(2, live=True, before=lambda i: None if i == 0 else gate.wait(PATIENCE_S) and None)
    with NewestFrames(source) as frames:
        next(iter(frames))
        started = time.monotonic()
    took_s = time.monotonic() - started
    gate.set()
    assert took_s < 1.5, f"closing took {took_s:.1f} s"  # 0.8 s by design, the rest for a loaded machine
    assert source.released.wait(PATIENCE_S)
