"""A camera that dies comes back: every way of dying, every rung, nothing leaked."""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture.reconnect.reconnect import Recovering
from edge.capture.reconnect.subprocess_source import ChildSource
from edge.capture.reconnect.timeouts import Timeouts
from edge.config import SourceConfig
from edge.data import Frame
from edge.errors import RestartNeeded, SourceError

STALL_S = 0.2
PATIENCE_S = 20.0
NOISE = np.random.default_rng(0).integers(0, 256, (64, 48, 48), dtype=np.uint8)


def limits(**more: float) -> Timeouts:
    """Little patience, so that the tests are quick."""
    return Timeouts(stall_s=STALL_S, **more)


class Camera:
    """A camera at 200 fps that follows ``script``: after how many frames it does what."""

    live = True
    frame_count = None

    def __init__(self, good: int, then: str) -> None:
        self.good, self.then = good, then
        self.closed = threading.Event()
        self.stuck = threading.Event()  # set by the test: the library call returns at last

    def __enter__(self):
        if self.then == "refuses":
            raise SourceError("the camera refuses to open")
        return self

    def __exit__(self, *about) -> None:
        self.closed.set()

    def frames(self) -> Iterator[Frame]:
        for index in itertools.count():
            if index >= self.good:
                yield from self.fail()
                return
            time.sleep(0.005)
            if self.closed.is_set():
                return
            yield Frame(NOISE[index % 64], time.monotonic(), index)

    def fail(self) -> Iterator[Frame]:
        if self.then == "raises":
            raise SourceError("the cable is out")
        if self.then == "breaks":
            raise ValueError("a bug in the driver's wrapper")
        if self.then == "blocks":  # wakes when it is closed
            self.closed.wait(PATIENCE_S)
        if self.then == "hangs":  # does not
            self.stuck.wait(PATIENCE_S)
        yield from ()


def opener(*cameras: Camera) -> Callable[[], Camera]:
    """Gives the cameras one after another, the last one again and again."""
    left = list(cameras)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def take(frames: Recovering, count: int) -> list[Frame]:
    return list(itertools.islice(frames, count))


@pytest.mark.parametrize("then", ["raises", "breaks", "blocks", "ends"])
def test_it_is_reopened(then: str, caplog) -> None:
    cameras = [Camera(5, then), Camera(0, "refuses"), Camera(10**9, "")]
    with Recovering(opener(*cameras), None, limits()) as frames:
        seen = take(frames, 30)
    assert [frame.index for frame in seen] == sorted({frame.index for frame in seen})
    assert len(frames.outages) == 1
    assert frames.outages[0] < 5
    assert frames.rungs["reopened"] == 2
    assert len([r for r in caplog.records if "reopening" in r.message]) == 1, "each outage is told once"
    assert "frames are back after" in caplog.text


def test_a_thread_that_hangs_is_abandoned_and_a_child_takes_over() -> None:
    hanging, apart = Camera(5, "hangs"), Camera(10**9, "")
    with Recovering(opener(hanging), lambda: apart, limits()) as frames:
        assert len(take(frames, 20)) == 20
        assert frames.rungs == {"reopened": 1, "threads abandoned": 1, "child processes": 1}
    hanging.stuck.set()


def test_an_opening_may_take_longer_than_the_next_frame() -> None:
    class Slow(Camera):
        def __enter__(self):
            time.sleep(5 * STALL_S)
            return self

    with Recovering(lambda: Slow(10**9, ""), None, limits()) as frames:
        assert len(take(frames, 3)) == 3
        assert not frames.rungs


def test_without_a_child_a_hanging_library_asks_for_a_restart() -> None:
    hanging = Camera(5, "hangs")
    with (
        Recovering(opener(hanging), None, limits()) as frames,
        pytest.raises(RestartNeeded, match="hangs"),
    ):
        take(frames, 20)
    hanging.stuck.set()


def test_what_a_user_got_wrong_is_raised_at_once_unless_patience_is_asked() -> None:
    wrong = Recovering(opener(Camera(0, "refuses")), None, limits())
    with wrong as frames, pytest.raises(SourceError, match="refuses"):
        take(frames, 1)
    late = [Camera(0, "refuses"), Camera(0, "refuses"), Camera(10**9, "")]
    with Recovering(opener(*late), None, limits(), patient=True) as frames:
        assert len(take(frames, 3)) == 3


def test_idle_is_told_while_there_is_no_frame() -> None:
    told: list[float] = []
    cameras = [Camera(3, "blocks"), *(Camera(0, "refuses") for _ in range(4)), Camera(10**9, "")]
    idle = lambda: told.append(time.monotonic())  # noqa: E731
    with Recovering(opener(*cameras), None, Timeouts(stall_s=1.5), idle=idle) as frames:
        take(frames, 6)
    gaps = np.diff(told)
    assert len(told) >= 3
    assert gaps.max() < 2.5


def test_bad_frames_are_counted_and_kept_back() -> None:
    class Flawed(Camera):
        def frames(self) -> Iterator[Frame]:
            for index in range(40):
                image = NOISE[index] if index % 4 else np.zeros((48, 48), np.uint8)
                yield Frame(image, time.monotonic(), index)
                time.sleep(0.005)

    with Recovering(opener(Flawed(0, "")), None, limits()) as frames:
        seen = take(frames, 20)
    assert all(frame.image.max() > 16 for frame in seen)
    assert frames.bad["black"] >= 3


def test_a_camera_that_gives_nothing_but_broken_frames_is_opened_again(caplog) -> None:
    class Broken(Camera):
        def frames(self) -> Iterator[Frame]:
            for index in itertools.count():
                time.sleep(0.005)
                if self.closed.is_set():
                    return
                yield Frame(np.zeros((1, 1), np.uint8), time.monotonic(), index)

    with Recovering(opener(Broken(0, ""), Camera(10**9, "")), None, limits(bad_s=0.3)) as frames:
        assert len(take(frames, 5)) == 5
    assert frames.rungs == {"reopened": 1}
    assert "only malformed frames" in caplog.text


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(["raises", "blocks", "ends", "refuses"]), min_size=1, max_size=4))
def test_any_chain_of_faults_ends_with_frames(chain: list[str]) -> None:
    cameras = [Camera(0 if then == "refuses" else 2, then) for then in chain]
    with Recovering(
        opener(*cameras, Camera(10**9, "")), None, Timeouts(stall_s=0.1, longest_wait_s=0.05), patient=True
    ) as frames:
        seen = take(frames, 8)
    assert len(seen) == 8
    assert np.all(np.diff([frame.timestamp_s for frame in seen]) > 0)


def test_nothing_leaks_over_many_outages() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    cameras = [Camera(2, then) for then in ["raises", "blocks", "ends"] * 10]
    before = threading.active_count(), descriptors()
    with Recovering(
        opener(*cameras, Camera(10**9, "")), None, Timeouts(stall_s=0.1, longest_wait_s=0.02)
    ) as frames:
        take(frames, 75)
        assert len(frames.outages) >= 25
    end = time.monotonic() + 5
    while (threading.active_count(), descriptors()) != before and time.monotonic() < end:
        time.sleep(0.05)
    assert (threading.active_count(), descriptors()) == before


def pictures(folder: Path, count: int = 30) -> SourceConfig:
    cv2 = pytest.importorskip("cv2")
    folder.mkdir()
    for index in range(count):
        cv2.imwrite(str(folder / f"{index}.png"), NOISE[index % 64])
    return SourceConfig(address=str(folder))


def test_a_child_gives_the_same_frames(tmp_path) -> None:
    with ChildSource(pictures(tmp_path / "p", 5)) as source:
        frames = source.frames()
        seen = list(itertools.islice(frames, 5))
        with pytest.raises(SourceError, match="capture process ended with exit code 0"):
            next(frames)
    assert [frame.index for frame in seen] == list(range(5))
    for frame, wanted in zip(seen, NOISE, strict=False):
        assert np.array_equal(frame.image, np.repeat(wanted[..., None], 3, axis=2))


def test_a_child_that_cannot_open_says_why_to_its_parent_only(tmp_path, capfd) -> None:
    missing = ChildSource(SourceConfig(address=str(tmp_path / "no.mp4")))
    with missing as source, pytest.raises(SourceError, match=r"no\.mp4 does not exist"):
        next(source.frames())
    assert capfd.readouterr().err == ""


def test_a_killed_child_leaves_nothing(tmp_path) -> None:
    with ChildSource(pictures(tmp_path / "p")) as source:
        next(source.frames())
        pid = source._child.pid
        source.kill()
        assert not Path(f"/proc/{pid}").exists()


def test_a_child_dies_with_its_parent(tmp_path) -> None:
    import subprocess

    code = (
        "import json, sys, time; from edge.capture.reconnect.subprocess_source import ChildSource; "
        "from edge.config import SourceConfig; s = ChildSource(SourceConfig(**json.loads(sys.argv[1]))); "
        "print(s._child.pid, flush=True); next(s.frames()); time.sleep(60)"
    )
    about = json.dumps({"address": pictures(tmp_path / "p", 400).address})
    parent = subprocess.Popen([sys.executable, "-c", code, about], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    time.sleep(1.5)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}").exists() and "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < end, "the capture process outlived its parent"
        time.sleep(0.05)
