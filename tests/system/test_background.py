"""A child of low priority: silent, out of the way, and gone when it is told to go."""

from __future__ import annotations

import os
import sys
import time

import pytest

from edge.system.background import Background
from edge.system.process import run_when_idle


def done(program: str) -> Background:
    child = Background([sys.executable, "-c", program])
    child.wait()
    return child


def test_it_runs_behind_everything_else_and_apart_from_the_terminal(capfd) -> None:
    child = done("import os; print(os.nice(0), os.getsid(0) == os.getpid()); os.write(2, b'noise')")
    assert child.output() == "19 True\n"
    assert (child.returncode, child.fault()) == (0, "")
    child.stop()
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="Linux only")
def test_when_idle_is_a_scheduling_class() -> None:
    program = f"import sys; sys.path[:0] = {sys.path!r}; import os; from edge.system import process\n"
    child = done(f"{program}process.run_when_idle(); print(os.sched_getscheduler(0) == os.SCHED_IDLE)")
    assert child.output() == "True\n"
    child.stop()


def test_a_sandbox_that_forbids_it_is_no_fault(monkeypatch) -> None:
    def refuse(*about) -> None:
        raise PermissionError(1, "not allowed")

    monkeypatch.setattr(os, "sched_setscheduler", refuse, raising=False)
    run_when_idle()


def test_its_last_words_are_the_fault() -> None:
    child = done("import sys; print('noise\\nx: error: it broke', file=sys.stderr); sys.exit(2)")
    assert (child.returncode, child.fault()) == (2, "it broke")
    child.stop()
    silent = done("import sys; sys.exit(7)")
    assert silent.fault() == "exit code 7"
    silent.stop()


def test_one_that_somebody_waits_for_gets_its_request_and_a_clean_environment() -> None:
    program = "import os, sys; print(sys.stdin.read(), os.nice(0), os.environ)"
    child = Background([sys.executable, "-c", program], "ask", {"ONLY": "this"}, urgent=True)
    assert child.wait(20)
    assert child.output().startswith(f"ask {os.nice(0)} environ({{'ONLY': 'this'")
    child.stop()


def test_a_flood_of_words_costs_no_memory_and_the_last_ones_are_told() -> None:
    child = done(
        "import sys; print('x' * 10**6 + chr(10) + 'x: error: full \\udcff error: y'); "
        "sys.stderr.write('x' * 10**6 + '\\nx: error: full, error: disk'); sys.exit(2)"
    )
    assert child.fault() == "full, error: disk"
    assert len(child.output()) < 10**5
    child.stop()


def test_waiting_ends() -> None:
    child = Background([sys.executable, "-c", "import time; time.sleep(60)"])
    assert not child.wait(0.05)
    child.stop(0)


def test_one_that_does_not_want_to_end_is_killed() -> None:
    program = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    child, end = Background([sys.executable, "-c", program]), time.monotonic() + 20
    while not child.output() and time.monotonic() < end:
        time.sleep(0.01)
    started = time.monotonic()
    child.stop(patience_s=0.1)
    assert time.monotonic() - started < 5
    assert child.returncode == -9
