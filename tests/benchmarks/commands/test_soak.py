"""A soak finds no growth of its own, says when it was never steady, and refuses runs that show nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny

from benchmarks import program as command
from benchmarks.commands import soak
from edge.errors import EdgeError

HAAR = ["--set", "detector.kind=haar"]


def steadiness(ages, samples=()):
    times = np.arange(len(ages)) / 10
    first, second = soak._steadiness(times, np.array(ages, float), list(samples))
    return first, second


def test_a_run_that_is_never_steady_says_so_beside_what_else_is_to_be_said() -> None:
    after, cold = steadiness([1.0 + at / 100 for at in range(600)])
    assert (after["value"], cold["value"]) == (None, None)
    assert after["note"] == "temperature n/a; never within this run"


def test_a_run_whose_last_window_makes_it_steady_has_a_ratio() -> None:
    after, cold = steadiness([2.0] * 100 + [1.0] * 300)
    assert after["value"] == 40.0
    assert after["note"] == "temperature n/a"
    assert cold["value"] == 2.0


def test_a_run_with_too_few_estimates_for_a_window_is_no_fault() -> None:
    after, cold = steadiness([1.0] * 5)
    assert (after["value"], cold["value"]) == (None, None)


def test_memory_is_that_of_the_harness_too() -> None:
    times = [float(at) for at in range(100)]
    peak, slope = soak._growth(times, [50.0 + at / 3600 for at in times])
    assert "harness" in peak["note"]
    assert slope["value"] == pytest.approx(1.0)
    assert [entry["value"] for entry in soak._growth([], [])] == [None, None]


def test_readings_lie_on_disk_while_it_runs() -> None:
    with soak._Spool() as spool:
        spool.append({"time_s": 1.0, "temperature_c": None})
        spool.append({"time_s": 2.0, "governor": "powersave"})
        assert not list(spool)
        assert [sample["time_s"] for sample in spool.read()] == [1.0, 2.0]
        json.dumps(spool.read())


def test_memory_is_looked_at_once_a_second() -> None:
    now = [0.0]
    memory = soak._Memory(10, lambda: now[0])
    for at in memory.along(range(91)):  # three seconds of a camera
        now[0] = at / 30
    assert len(memory.mb.floats()) == 4
    assert min(memory.mb.floats()) > 1


def test_a_run_within_its_warm_up_is_told_with_its_frames(tmp_path) -> None:
    with pytest.raises(EdgeError, match=r"0\.01 minutes gave 0 frames .* raise --minutes"):
        soak.run(_options("--minutes", "0.01", "--idle", "0", "--bundle", str(tiny.write(tmp_path)), *HAAR))


@pytest.mark.parametrize("words", [["--idle", "-1"], ["--minutes", "0"], ["--fps", "nan"]])
def test_impossible_numbers_are_refused(words: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as refused:
        _options(*words)
    assert refused.value.code == 2
    assert words[0] in capsys.readouterr().err


def _options(*words: str):
    return command._parser().parse_args(["soak", *words])
