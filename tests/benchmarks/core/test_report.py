"""The report: samples that must be there, and its tables for a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.core.formatting import asked
from benchmarks.core.report import figure, measurement, read, report, show, verdict
from edge.errors import EdgeError


@pytest.mark.parametrize("rounds", [[], [[], []]])
def test_no_samples_are_one_line_with_the_fix(rounds: list[list[float]]) -> None:
    with pytest.raises(EdgeError, match=r"age of estimates: 0 samples.* no face .* measure longer"):
        measurement("age of estimates", rounds)


def test_the_table_keeps_its_columns() -> None:
    rows = [measurement("n" * 60, [[123456789.0]]), measurement("frame", [[1.0]])]
    lines = show(report("model", {}, rows)).splitlines()[2:5]
    assert len({len(line) for line in lines}) == 1
    assert lines[1].count("  123457000.000") == 3, "no two numbers touch"
    assert lines[1].split()[5:9] == ["-"] * 4, "of one sample there is a median and no other percentile"


def test_a_limit_that_is_not_kept_says_so() -> None:
    shown = show(report("model", {}, [], [figure("a", 2.0, "x", ">= 3", "why"), figure("b", None, "W")]))
    assert shown.splitlines()[2:] == ["a  2 x    limit >= 3: not kept  (why)", "b  n/a W"]


def test_a_limit_is_a_sign_and_a_number() -> None:
    assert verdict(figure("a", 3.0, "x", ">= 3 x")) == (True, "kept")
    assert verdict(figure("a", {"value": 2.0, "low": 1.0, "high": 4.0}, "x", ">= 3")) == (
        False,
        "not kept, uncertain",
    )
    for none in (
        figure("a", None, "x", ">= 3"),
        figure("a", 2.0, "x", "about 3"),
        figure("a", 2.0, "s", "<= 3 ms"),
    ):
        assert verdict(none) is None
    assert asked(figure("a", 1, asked="<= -1.5e-3")) == ("<=", -0.0015)


def test_a_file_that_is_no_report_says_what_to_give(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text in ("[]", "{}", "3"):
        path.write_text(text)
        with pytest.raises(
            EdgeError, match="is not a report; give a file that emotion-bench wrote with --json"
        ):
            read(path)
    path.write_text('{"schema": "emotion-bench/9"}')
    with pytest.raises(EdgeError, match="has schema 'emotion-bench/9', expected 'emotion-bench/1'"):
        read(path)
