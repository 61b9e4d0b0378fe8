"""A long command names its steps at once and never stays silent."""

from __future__ import annotations

import re
import time

import pytest

from edge.errors import EdgeError
from edge.system.steps import Steps


def test_each_step_is_named_as_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    with Steps("emotion-export") as steps:
        steps.begin("reading")
        assert capsys.readouterr().err == "emotion-export: reading\n"
        steps.say("")
        steps.say("w.pt: a word")
        steps.begin("proving", 300)
        assert capsys.readouterr().err == "emotion-export: w.pt: a word\nemotion-export: proving\n"


@pytest.mark.parametrize("total", [0, 8])
def test_a_step_that_takes_long_says_how_far_it_is(total: int, capsys: pytest.CaptureFixture[str]) -> None:
    with Steps("emotion-export", silent_s=0.05) as steps:
        steps.begin("proving", total)
        steps.add(2)
        time.sleep(0.3)
    lines = capsys.readouterr().err.splitlines()[1:]
    assert len(lines) >= 2, "silent for longer than asked"
    share = "25%, " if total else ""
    assert all(re.fullmatch(rf"emotion-export:   proving: {share}\d+ s", line) for line in lines), lines


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with Steps("emotion-export") as steps:
        steps.begin("proving", 4)
        steps.add(9)
        steps.begin("writing")
    shown = capsys.readouterr().err
    assert "4/4 done" in shown
    assert shown.endswith("\nemotion-export: writing\n"), "the bar's line is ended first"


def test_a_fault_ends_the_thread() -> None:
    steps = Steps("emotion-export")
    with pytest.raises(EdgeError), steps:
        raise EdgeError("a fault")
    assert not steps._thread.is_alive()


def test_nothing_speaks_outside_of_the_block(capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps("emotion-export", silent_s=0.05)
    steps.begin("proving")
    time.sleep(0.2)
    assert capsys.readouterr().err == "emotion-export: proving\n"
