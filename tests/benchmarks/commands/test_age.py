"""The age of estimates: every phase in every run, cameras only, and an interrupted run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
import tiny

from benchmarks import program as command
from benchmarks.commands import age
from benchmarks.core import harness
from benchmarks.scenes import paced
from edge.data import Frame
from edge.errors import ConfigError

FPS = 30.0


@pytest.mark.parametrize("every", range(1, 11))
def test_rounds_hold_every_phase_alike(every: int) -> None:
    phases, count = age.turns(every)
    assert count >= harness.ROUNDS
    assert set(Counter(turn % phases for turn in range(count)).values()) == {count // every}


def test_many_frames_between_detections_do_not_make_a_run_endless() -> None:
    assert age.turns(1000) == (10, 10)


@pytest.mark.parametrize("address", ["demo", "clip.avi", "."])
def test_a_source_that_waits_is_refused(address: str) -> None:
    config = harness.settings(_options("age", address))
    with pytest.raises(ConfigError, match="age needs a camera"):
        age.refuse_finite(config, address)


@pytest.mark.parametrize(("words", "given"), [([], False), (["--set", "source.address=/dev/video0"], True)])
def test_the_configured_camera_counts_unless_it_is_the_default(words: list[str], given: bool) -> None:
    args = _options("age", *words)
    assert age.refuse_finite(harness.settings(args), args.source) is given


def test_too_few_seconds_are_named_with_what_would_do(tmp_path) -> None:
    args = _options("age", "--seconds", "0.5", "--bundle", str(tiny.write(tmp_path)), *HAAR)
    with pytest.raises(ConfigError, match=r"0\.5 is too short: 12 rounds .* give 2 or more"):
        age.run(args)


def test_p99_carries_its_interval_and_rounds_are_those_of_the_run() -> None:
    rng, records = np.random.default_rng(0), []
    for turn in range(12):
        one = paced.Record(0.0)
        for at in range(40):
            one.frame(Frame(np.zeros((1, 1), np.uint8), at / FPS, at), at / FPS + rng.uniform(0, 0.01), True)
        one.lost = Counter({"dropped": turn})
        records.append(one)
    made = age._report(_options("age"), records, {"setup": {"detector_every": 3}}, "tiny", True)
    p99 = made["figures"][0]
    assert p99["low"] < p99["value"] < p99["high"] < 0.01 * FPS
    assert [len(part) for part in made["measurements"][0]["rounds"]] == [40] * 12
    assert [len(part) for part in made["measurements"][1]["rounds"]] == [39] * 12, "no gap between two rounds"
    assert made["counts"] == {"frames": 480, "dropped": 66}


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
