"""What comes out of a capture process: frames, drops, errors; and how it ends."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from capture_process import Undying
from failing_camera import NOISE, STALL_S, Beats, Camera, limits, take

from edge.capture.reconnect.reconnect import Recovering
from edge.capture.reconnect.subprocess_source import ChildSource
from edge.capture.reconnect.timeouts import Timeouts
from edge.errors import RestartNeeded, SourceError


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
