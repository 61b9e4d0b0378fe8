"""The command ``compare``: what it prints and keeps, its exit code, one line on a bad file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from simulated_reports import latencies, pair, report

from benchmarks.commands import compare
from benchmarks.core.report import SCHEMA, ReportError, schema
from edge.errors import ConfigError


def test_parts_tell_and_do_not_judge(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Twenty stages take no power from the whole, and one that is slower does not fail the command."""
    before, after = pair()
    for made, factor in ((before, 1.0), (after, 1.5)):
        stages = report(factor * latencies(np.random.default_rng(12), 20), group="stage")["measurements"]
        made["measurements"] += [one | {"name": f"stage {at}"} for at, one in enumerate(stages)]
    rows = compare.compare(before, after)
    assert [row["judged"] for row in rows] == [True] * 2 + [False] * 20
    assert [row["verdict"] for row in rows] == ["same"] * 2 + ["slower"] * 20
    assert run(tmp_path, before, after) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[3].startswith("for information")
    assert out[-1] == "0 slower, 0 faster, 2 same"


def run(tmp_path: Path, *contents: object, words: tuple[str, ...] = ()) -> int:
    parser = argparse.ArgumentParser()
    compare.add_options(parser)
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, content in zip(paths, contents, strict=False):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return compare.run(parser.parse_args([*map(str, paths), *words]))


@pytest.mark.parametrize(("factor", "code"), [(1.0, 0), (0.9, 0), (1.1, 1)])
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture, factor: float, code: int) -> None:
    assert run(tmp_path, *pair(factor)) == code
    printed = capsys.readouterr()
    assert "metric 1" in printed.out
    assert f"{code} slower" in printed.out.splitlines()[-1]
    assert printed.err == ""


def test_the_rows_are_kept(tmp_path: Path) -> None:
    out = tmp_path / "rows.json"
    before, after = pair(1.1)
    after["fingerprint"]["board"] = "Jetson Orin Nano"
    assert run(tmp_path, before, after, words=("--json", str(out))) == 1
    kept = json.loads(out.read_text("utf-8"))
    jsonschema.validate(kept, {"$defs": schema()["$defs"], "$ref": "#/$defs/comparison"})
    assert [row["verdict"] for row in kept["rows"]] == ["same", "slower"]
    assert kept["rows"] == compare.compare(before, after)
    assert "board differs" in kept["doubts"][0]
    with pytest.raises(ConfigError, match="is a folder"):
        run(tmp_path, before, after, words=("--json", str(tmp_path)))


def test_long_names_and_large_numbers_keep_their_columns(capsys: pytest.CaptureFixture) -> None:
    rows = compare.compare(*pair())
    rows[0] |= {"name": "n" * 60, "before": 123456789.0, "change": 1234567.0, "unit": "clips a second"}
    head, *lines, _ = compare.table(rows).splitlines()
    assert {line.index("same") for line in lines} == {head.index("verdict")}


def test_a_warning_goes_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    before, after = pair()
    after["fingerprint"]["bundle"]["sha256"] = "c" * 64
    assert run(tmp_path, before, after) == 0
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: bundle differs")
    assert '{"sha256": "aaa' in line
    assert '{"sha256": "ccc' in line


def broken(**changes: object) -> dict:
    good = pair()[1]
    good["measurements"][0] |= changes
    return good


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "is not a report; give a file that emotion-bench wrote"),
        ({}, "is not a report"),
        ('\ufeff{"schema": "emotion-bench/2"}', "has schema"),
        ({"schema": "emotion-bench/2"}, "emotion-bench/2"),
        ({"schema": SCHEMA, "kind": "age", "measurements": [], "figures": []}, "fingerprint is missing"),
        ({"schema": SCHEMA, "kind": "age", "fingerprint": {}, "figures": []}, "measurements is missing"),
        (report(np.ones((0, 1, 1))), "no latency or age is in both"),
        (broken(name=None), "measurements[0].name"),
        (broken(better="quick"), "quick"),
        (broken(rounds=[]), "measurements[0].rounds"),
        (broken(rounds=[[1.0], []]), "measurements[0].rounds[1]"),
        (broken(rounds=[["fast"]]), "measurements[0].rounds[0][0]"),
        (broken(rounds=[[float("nan")]]), "not JSON"),
        (json.dumps(broken(rounds=[[-7]])).replace("-7", "1e999"), "not JSON"),
        (json.dumps(broken(rounds=[[-7]])).replace("-7", "1" + 400 * "0"), "not JSON"),
        ({"schema": SCHEMA, "kind": "fps"}, "is missing"),
        (broken(unit="s"), "another unit"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, content: object, fault: str) -> None:
    with pytest.raises(ReportError) as error:
        run(tmp_path, pair()[0], content)
    assert fault in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"b\.json cannot be read \(No such file or directory\)"):
        run(tmp_path, pair()[0])


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReportError, match="not JSON"):
        run(tmp_path, pair()[0])
