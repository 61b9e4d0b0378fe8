"""The report: samples that must be there, and its tables for a terminal."""

from __future__ import annotations

import pytest

from benchmarks.core.report import figure, measurement, report, show
from edge.errors import EdgeError


@pytest.mark.parametrize("rounds", [[], [[], []]])
def test_no_samples_are_one_line_with_the_fix(rounds: list[list[float]]) -> None:
    with pytest.raises(EdgeError, match=r"age of estimates: 0 samples.* no face .* measure longer"):
        measurement("age of estimates", rounds)


def test_the_table_keeps_its_columns() -> None:
    rows = [measurement("n" * 60, [[123456789.0]]), measurement("frame", [[1.0]])]
    lines = show(report("model", {}, rows)).splitlines()[2:5]
    assert len({len(line) for line in lines}) == 1
    assert lines[1].count("  123457000.000") == 7, "no two numbers touch"


def test_a_missed_figure_says_so() -> None:
    shown = show(report("model", {}, [], [figure("a", 2.0, "x", ">= 3", "why"), figure("b", None, "W")]))
    assert shown.splitlines()[2:] == ["a  2 x    asked >= 3: missed  (why)", "b  n/a W"]
