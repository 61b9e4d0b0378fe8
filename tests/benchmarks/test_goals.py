"""The goals of this project: they stand in its documents and judge its reports, which do not show them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from goals import GOALS, judged

from benchmarks.core.report import figure, report

PAGE = (Path(__file__).parents[2] / "docs/benchmarks.md").read_text("utf-8")


@pytest.mark.parametrize("word", ["40", "5", "12", "95 %", "0.4 s", "1.5 periods"])
def test_the_goals_of_the_page_are_those_of_the_list(word: str) -> None:
    assert re.search(rf"\| {re.escape(word)} \|", PAGE)
    number = float(word.split()[0]) / (100 if "%" in word else 1)
    assert number in {float(goal.limit.split()[1]) for goal in GOALS}


def test_a_report_is_judged_by_its_kind() -> None:
    figures = [figure("first estimate", 0.5, "s"), figure("peak memory", None, "MB"), figure("other", 9.0)]
    assert list(judged(report("start", {}, figures=figures))) == [
        "MISSED: first estimate is 0.5, goal <= 0.4",
        "n/a: peak memory is None, goal <= 120",
    ]
    assert not list(judged(report("soak", {}, figures=figures)))
