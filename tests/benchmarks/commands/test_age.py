"""The age of estimates: every phase in every run, cameras only, and cores that are kept busy quietly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import tiny

from benchmarks import __main__ as command
from benchmarks.commands import age
from benchmarks.core import harness
from benchmarks.scenes import paced
from edge.capture.reconnect.reconnect import Recovering
from edge.data import Frame
from edge.errors import ConfigError, EdgeError

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
        self.ticks, self._every = 0, every
        self.recognizer = SimpleNamespace(engine=SimpleNamespace(tick=self._tick))

    def _tick(self) -> None:
        self.ticks += 1

    def step(self, frame):
        self.seen.append(frame.index)
        return [SimpleNamespace(fresh=frame.index % self._every == 0)]


class Opened:
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
    paced.at_tick(coming, HZ, later)
    assert next(coming).index % 3 == (later + 1) % 3


@pytest.mark.parametrize("every", range(1, 11))
def test_rounds_hold_every_phase_alike(every: int) -> None:
    phases, count = age.turns(every)
    assert count >= harness.ROUNDS
    assert set(Counter(turn % phases for turn in range(count)).values()) == {count // every}


def test_many_frames_between_looks_do_not_make_a_run_endless() -> None:
    assert age.turns(1000) == (10, 10)


def test_the_warm_up_counts_neither_frames_nor_drops() -> None:
    opened, works, seen = Opened(), Works(), paced.Watched(time.monotonic())
    paced.watch(works, iter(opened), opened, seen, seconds=0.1, warm_s=0.05)
    counted = len(seen.done_s.floats())
    assert 0 < counted < len(works.seen)
    # One is lost before each frame, and the first that counts came before the counting.
    assert seen.lost == {"dropped": counted - 1}
    assert works.ticks == len(works.seen), "the engine may change between any two frames, as in a run"
    assert len(seen.ages_ms.floats()) == sum(at % 3 == 0 for at in works.seen[-counted:])


def test_a_paced_camera_goes_on_for_as_long_as_anybody_listens(caplog) -> None:
    """It used to end with the run, and Recovering opened it again in the last frame."""
    frames = [Frame(np.random.default_rng(0).integers(0, 255, (16, 16), np.uint8), 0.0, 0)] * 2
    with Recovering(lambda: paced.PacedCamera(frames, 200.0), None) as opened:
        seen = paced.Watched(time.monotonic())
        paced.watch(Works(), iter(opened), opened, seen, seconds=0.2, warm_s=0.0)
    assert len(seen.done_s.floats()) > 10
    assert not opened.rungs
    assert not caplog.records


def test_memory_is_taken_before_the_numbers_come_and_grows_where_it_must() -> None:
    numbers = paced.Numbers(0)
    for value in range(100):
        numbers.append(value)
    assert numbers.floats() == [float(value) for value in range(100)]


@pytest.mark.parametrize("address", ["demo", "clip.avi", "."])
def test_what_waits_to_be_asked_is_refused(address: str) -> None:
    wanted = harness.settings(_options("age", address), address=address)
    with pytest.raises(ConfigError, match="age needs a camera"):
        age.refuse_what_waits(wanted, address)


@pytest.mark.parametrize(("words", "given"), [([], False), (["--set", "source.address=/dev/video0"], True)])
def test_the_configured_camera_counts_unless_it_is_the_default(words: list[str], given: bool) -> None:
    args = _options("age", *words)
    assert age.refuse_what_waits(harness.settings(args, address=args.source), args.source) is given


def test_too_few_seconds_are_named_with_what_would_do(tmp_path) -> None:
    args = _options("age", "--seconds", "0.5", "--bundle", str(tiny.write(tmp_path)), *HAAR)
    with pytest.raises(ConfigError, match=r"0\.5 is too short: 12 rounds .* give 2 or more"):
        age.run(args)


def test_no_estimate_is_told_with_the_number_of_frames() -> None:
    with pytest.raises(EdgeError, match=r"7 frames, 2 dropped, and no estimate"):
        raise age.no_estimate(Counter({"frames": 7, "dropped": 2}))


def test_p99_carries_its_interval_and_rounds_are_those_of_the_run() -> None:
    rng, seen = np.random.default_rng(0), []
    for turn in range(12):
        one = paced.Watched(0.0)
        for at in range(40):
            one.frame(Frame(np.zeros((1, 1), np.uint8), at / FPS, at), at / FPS + rng.uniform(0, 0.01), True)
        one.lost = Counter({"dropped": turn})
        seen.append(one)
    made = age._report(_options("age"), seen, {"setup": {"detector_every": 3}}, "tiny", True)
    p99 = made["figures"][0]
    assert p99["low"] < p99["value"] < p99["high"] < 0.01 * FPS
    assert [len(part) for part in made["measurements"][0]["rounds"]] == [40] * 12
    assert [len(part) for part in made["measurements"][1]["rounds"]] == [39] * 12, "no gap between two rounds"
    assert made["counts"] == {"frames": 480, "dropped": 66}


def test_busy_processes_are_busy_at_once_and_gone_afterwards() -> None:
    with paced.busy(1) as (pid,):
        before, deadline = _ticks(pid), time.monotonic() + 10  # a loaded machine may keep it waiting
        while _ticks(pid) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert _ticks(pid) > before
    assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.skipif(not os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children"), reason="kernel")
def test_an_interrupted_run_leaves_one_line_and_no_process() -> None:
    script = "import sys; from benchmarks.__main__ import main; sys.exit(main(sys.argv[1:]))"
    words = ["age", "--busy", "1", "--seconds", "60", *HAAR]
    child = subprocess.Popen(
        [sys.executable, "-c", script, *words], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not (spinners := _children(child.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    os.killpg(child.pid, signal.SIGINT)  # what a terminal does
    told = child.communicate(timeout=60)[1]
    assert child.returncode == 130
    assert "Traceback" not in told
    assert spinners
    deadline = time.monotonic() + 20  # they end by themselves, when a loaded machine lets them
    while any(os.path.exists(f"/proc/{pid}") for pid in spinners) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in spinners)


HAAR = ["--set", "detector.kind=haar"]


def _options(*words: str):
    return command._parser().parse_args(words)


def _children(pid: int) -> list[str]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return file.read().split()


def _ticks(pid: int) -> int:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return int(file.read().rpartition(")")[2].split()[11])
