"""From rung to rung: a thread that hangs, a capture process that is no better, and the fresh start of it all.

The capture processes are real ones, with a stand-in for the camera that they open.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edge.capture.reconnect import reconnect, source_thread
from edge.capture.reconnect.reconnect import Recovering
from edge.capture.reconnect.source_thread import in_time
from edge.capture.reconnect.subprocess_source import ChildSource
from edge.capture.reconnect.timeouts import Timeouts
from edge.config import SourceConfig
from edge.data import Frame
from edge.errors import RestartNeeded, SourceError
from edge.system.process import START

STALL_S = 0.3
NOISE = np.random.default_rng(0).integers(0, 256, (64, 48, 48), dtype=np.uint8)

CAPTURE_PROCESS = """
import itertools, os, sys, time
import numpy as np
from dataclasses import replace
from edge.capture import sources
from edge.capture.reconnect import subprocess_source
from edge.data import Frame
from edge.errors import SourceError

NOISE = np.random.default_rng(0).integers(0, 256, (64, 48, 48), dtype=np.uint8)


class Camera:
    live, frame_count = True, None

    def __init__(self, about):
        self.kind, self.draw = about.address.removeprefix("picam://"), about.draw
        if self.kind == "late":
            time.sleep(1.2)
        if self.kind == "busy":
            raise SourceError("the camera is busy")
        if self.kind == "bug":
            raise ValueError("a bug in the library")

    def __enter__(self):
        return self

    def __exit__(self, *about):
        pass

    def frames(self):
        for index in itertools.count():
            time.sleep(60 if self.kind == "silent" else 0.002)
            picture = NOISE[index % 64]
            drawn = np.stack([picture[:40]] * 3, axis=-1) if self.draw else None
            yield Frame(picture, time.monotonic(), index, "limited", drawn)


sources.SOURCES = tuple(
    replace(part, load=Camera) if part.name == "picam" else part for part in sources.SOURCES
)
os._exit(subprocess_source.main(sys.stdin.read()))
"""


def limits(**more: float) -> Timeouts:
    """Little patience, so that the tests are quick."""
    return Timeouts(stall_s=STALL_S, **more)


@pytest.fixture
def capture_process(tmp_path: Path) -> Callable[..., partial[ChildSource]]:
    """kind of camera -> what opens it in a real capture process."""
    (tmp_path / "stand_in.py").write_text(CAPTURE_PROCESS)
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nPYTHONPATH={START} exec {sys.executable} {tmp_path}/stand_in.py\n")
    python.chmod(0o755)
    return lambda kind, **more: partial(
        ChildSource, SourceConfig(address=f"picam://{kind}"), command=[str(python)], **more
    )


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


@pytest.fixture(autouse=True)
def _let_threads_end() -> Iterator[None]:
    Camera.over.clear()
    yield
    Camera.over.set()


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


def test_a_bug_in_a_library_comes_over_as_one_line(capture_process, capfd) -> None:
    with capture_process("bug")() as source, pytest.raises(SourceError, match="ValueError: a bug in the lib"):
        next(source.frames())
    assert capfd.readouterr().err == ""


def test_frames_dropped_in_the_capture_process_are_counted(capture_process) -> None:
    with capture_process("fast")() as source:
        frames = source.frames()
        seen = [next(frames)]
        assert source.dropped == 0
        time.sleep(0.6)  # 300 frames, of which the pipe holds some 30
        while seen[-1].index < 200:  # past that gap, and past a small one that a busy machine may make before
            seen.append(next(frames))
        missing = seen[-1].index - len(seen) + 1
        assert missing > 50
        assert missing <= source.dropped <= missing + 3, "one or two more may be gone by the time of telling"


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


@pytest.mark.parametrize("draw", [False, True])
def test_what_is_drawn_on_comes_through_the_pipe(capture_process, draw: bool) -> None:
    opener = capture_process("fast")
    with ChildSource(replace(*opener.args, draw=draw), **opener.keywords) as source:
        for frame in itertools.islice(source.frames(), 10):
            noise = NOISE[frame.index % 64]
            assert np.array_equal(frame.image, noise)
            assert frame.luma_range == "limited"
            assert (frame.drawn is not None) == draw
            assert not draw or np.array_equal(frame.drawn, np.stack([noise[:40]] * 3, axis=-1))


class Undying(ChildSource):
    """A capture process that stands still after five frames and that SIGKILL does not end (state D)."""

    def __init__(self, opener: partial[ChildSource], **more) -> None:
        super().__init__(*opener.args, **opener.keywords, **more)
        self.real_kill, self._child.kill = self._child.kill, lambda: None

    def frames(self) -> Iterator[Frame]:
        yield from itertools.islice(super().frames(), 5)
        os.kill(self._child.pid, signal.SIGSTOP)
        Camera.over.wait(60)

    def dies_at_last(self) -> None:
        self.real_kill()
        self._child.wait()
        Camera.over.set()  # for the reading thread, which closes the pipe
        end = time.monotonic() + 5
        while not self._child.stdout.closed and time.monotonic() < end:
            time.sleep(0.01)


def test_a_capture_process_that_does_not_die_is_waited_for_once(capture_process) -> None:
    beats, made = Beats(), []

    def apart() -> Undying:
        made.append(Undying(capture_process("fast")))
        return made[-1]

    live = Recovering(Camera, apart, limits(), idle=beats)
    try:
        with pytest.raises(RestartNeeded, match="does not die"), live:
            take(live, 20)
        assert time.monotonic() - live._last_s <= STALL_S + Timeouts.dies_s + 1.0
        assert beats.longest_gap_s() < 1.5
    finally:
        made[0].dies_at_last()


def test_a_signal_is_a_better_reason_to_end_than_a_process_that_does_not_die(capture_process) -> None:
    source = Undying(capture_process("fast"), dies_s=0.2)
    stop = lambda: signal.raise_signal(signal.SIGINT)  # noqa: E731
    with (
        pytest.raises(KeyboardInterrupt),
        Recovering(lambda: source, None, Timeouts(stall_s=5.0), idle=stop) as live,
    ):
        take(live, 6)
    source.dies_at_last()


def test_in_time_tells_that_it_waits() -> None:
    beats = Beats()
    assert not in_time(lambda wait_s: bool(time.sleep(wait_s)), 1.2, beats)
    assert beats.longest_gap_s() < 1.0
    assert in_time(lambda _: True, 0.0, beats)
    assert not in_time(lambda _: False, 0.0, beats)


def test_ctrl_c_while_a_capture_process_starts_is_quiet(tmp_path: Path) -> None:
    """A terminal sends it to every process of the group."""
    code = (
        "import sys, time; from edge.config import SourceConfig\n"
        "from edge.capture.reconnect.subprocess_source import ChildSource\n"
        "source = ChildSource(SourceConfig(address='/nowhere'))\n"
        "try:\n    print(flush=True)\n    time.sleep(20)\n"
        "except KeyboardInterrupt:\n    source.kill()\n    sys.exit(3)\n"
    )
    for after_s in (0.02, 0.1, 0.2):
        words = [sys.executable, "-c", code]
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as parent:
            parent.stdout.readline()
            time.sleep(after_s)
            os.killpg(parent.pid, signal.SIGINT)
            told = parent.communicate(timeout=30)[1]
        assert (parent.returncode, told) == (3, "")


PROGRAM = """
import itertools, os, signal, sys, time
from pathlib import Path
import numpy as np
from dataclasses import replace
from functools import partial
from edge.__main__ import main
from edge.capture import sources
from edge import session
from edge.capture.reconnect import subprocess_source
from edge.capture.reconnect.subprocess_source import ChildSource
from edge.capture.reconnect.timeouts import Timeouts
from edge.config import SourceConfig
from edge.data import Frame

NOISE = np.random.default_rng(0).integers(0, 256, (64, 96, 128), dtype=np.uint8)


class Hangs:
    live, frame_count = True, None

    def __enter__(self):
        return self

    def __exit__(self, *about):
        pass

    def frames(self):
        for index in range(5):
            time.sleep(0.02)
            yield Frame(NOISE[index], time.monotonic(), index)
        time.sleep(600)


class Undying(ChildSource):
    def __init__(self, about):
        super().__init__(SourceConfig(address=str(Path(__file__).parent / "pictures")))
        self._child.kill = lambda: None

    def frames(self):
        yield from itertools.islice(super().frames(), 5)
        os.kill(self._child.pid, signal.SIGSTOP)
        time.sleep(600)


sources.SOURCES = tuple(replace(part, load=lambda about: Hangs()) for part in sources.SOURCES)
session.Timeouts = partial(Timeouts, held_s=3.0)
if os.environ["KIND"] == "undying":
    subprocess_source.ChildSource = Undying
sys.exit(main())
"""


def run_program(folder: Path, kind: str, *more: str) -> tuple[int, str, float]:
    """The program on a camera that hangs: exit code, what it told, seconds from its last beat to its end."""
    (folder / "program.py").write_text(PROGRAM)
    address = str(folder / "notify")
    environ = {
        **os.environ,
        "KIND": kind,
        "PYTHONPATH": str(START),
        "NOTIFY_SOCKET": address,
        "WATCHDOG_USEC": "10000000",
        "STATE_DIRECTORY": str(folder / "state"),
        "RUNTIME_DIRECTORY": str(folder / "run"),
    }
    options = ["--jsonl", "-", "--set", "detector.kind=haar", "--set", "recovery.stall_s=0.5", *more]
    words = [sys.executable, str(folder / "program.py"), "run", "/dev/video9999", *options]
    (folder / "run").mkdir(exist_ok=True)
    Path(address).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(address)
        notify.settimeout(0.05)
        with subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environ
        ) as run:
            beat_s = time.monotonic()
            while run.poll() is None:
                try:
                    if b"WATCHDOG=1" in notify.recv(4096):
                        beat_s = time.monotonic()
                except TimeoutError:
                    pass
            return run.returncode, run.stderr.read(), time.monotonic() - beat_s


def test_the_program_ends_with_75_where_the_camera_stays_taken(tmp_path: Path) -> None:
    code, told, _ = run_program(tmp_path, "taken")
    assert code == 75, told
    assert "Traceback" not in told
    assert told.count("no frame in the child process: camera /dev/video9999 does not exist") == 1
    assert json.loads((tmp_path / "state/restart.json").read_text())["at_s"] > 0
    assert not (tmp_path / "run/reboot").exists()


def test_the_program_ends_with_75_before_the_watchdog_strikes(tmp_path: Path) -> None:
    """The second time with a reboot asked for, which takes longest."""
    cv2 = pytest.importorskip("cv2")
    (tmp_path / "pictures").mkdir()
    for index in range(30):
        cv2.imwrite(str(tmp_path / "pictures" / f"{index}.png"), NOISE[index])
    for asked in (False, True):
        code, told, silent_s = run_program(tmp_path, "undying", "--set", "recovery.reboot=true")
        assert code == 75, told
        assert "does not die" in told
        assert "Traceback" not in told
        assert (tmp_path / "run/reboot").exists() == asked
        assert silent_s < 8, "the unit's watchdog strikes after 10 s"
