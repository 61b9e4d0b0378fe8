"""``compare``: quiet on two runs of the same program, loud on a slowdown of 5 %, one line on a bad file."""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from benchmarks.commands import compare
from benchmarks.core.report import SCHEMA, ReportError, schema
from edge.errors import ConfigError

PAIRS, METRICS, ROUNDS, SAMPLES = 500, 8, 10, 99
NOISE, DRIFT, KEPT = 0.10, 0.007, 0.5  # of a sample, of a round; what a round keeps of the drift before it
OUTLIERS = 0.01  # of the samples take five times as long
CHEAP_MS, DETECTED_MS, EVERY = 0.3, 1.5, 3  # a frame without and with detection, which every third one has
SUMMARY = {"n": 1, "mean": 0, "max": 0, "p50": 0, "p99": 0}  # compare looks at the samples alone


def report(rounds: np.ndarray, better: str = "less", group: str = "latency", every: int = 1) -> dict:
    """A report of ``rounds``, (metrics, rounds, samples)."""
    measurements = [
        {"name": f"metric {at}", "group": group, "unit": "ms", "better": better,
         "rounds": one.tolist(), "summary": SUMMARY}
        for at, one in enumerate(rounds)
    ]  # fmt: skip
    fingerprint = {
        "board": "Raspberry Pi 5", "bundle": {"name": "tiny", "sha256": "a" * 64}, "inputs": [],
        "libraries": {"numpy": "2.2.6", "onnxruntime": "1.22.1"}, "setup": {"detector_every": every},
        "command": ["emotion-bench", "pipeline", "--frames", "990"],
    }  # fmt: skip
    return {
        "schema": SCHEMA, "kind": "pipeline", "fingerprint": fingerprint,
        "measurements": measurements, "figures": [],
    }  # fmt: skip


def latencies(rng: np.random.Generator, metrics: int = METRICS, drift: float = DRIFT) -> np.ndarray:
    """Latencies of one run as in life, ms: (metrics, rounds, samples).

    Lognormal noise of 10 %, 1 % of outliers of 5 times the time, and between rounds an AR(1) drift with a
    standard deviation of 0.7 % and a correlation of 0.5: clocks and temperature. Each metric drifts on its
    own, which gives a report more chances of a false alarm than one drift of all.
    """
    levels = np.empty((metrics, ROUNDS))
    levels[:, 0] = rng.normal(0, drift, metrics)
    for at in range(1, ROUNDS):
        levels[:, at] = KEPT * levels[:, at - 1] + rng.normal(0, drift * np.sqrt(1 - KEPT**2), metrics)
    shape = (metrics, ROUNDS, SAMPLES)
    slow = np.where(rng.random(shape) < OUTLIERS, 5.0, 1.0)
    return 5 * slow * np.exp(levels[..., None] + rng.normal(0, NOISE, shape))


def test_simulated_pairs_of_runs() -> None:
    """500 pairs: of the same program at most 1 % raise an alarm; 5 % slower in one of 8 metrics, 95 % do.

    2000 pairs with other seeds give less than 0.1 % and 99 %, so that neither is by luck.
    """
    rng = np.random.default_rng(7)
    false = caught = elsewhere = 0
    for _ in range(PAIRS):
        a, b = latencies(rng), latencies(rng)
        before = report(a)
        false += any(row["verdict"] != "same" for row in compare.compare(before, report(b)))
        b[0] *= 1.05
        verdicts = [row["verdict"] for row in compare.compare(before, report(b))]
        caught += verdicts[0] == "slower"
        elsewhere += any(verdict != "same" for verdict in verdicts[1:])
    print(f"A/A alarms {false}, 5 % caught {caught}, alarms elsewhere {elsewhere}, of {PAIRS}")
    assert false <= 0.01 * PAIRS
    assert caught >= 0.95 * PAIRS
    assert elsewhere <= 0.01 * PAIRS


def frames(rng: np.random.Generator, metrics: int = 2) -> np.ndarray:
    """``latencies`` of a pipeline that detects in every third frame and is cheap in the others."""
    detected = np.arange(SAMPLES) % EVERY == 0
    return latencies(rng, metrics) / 5 * np.where(detected, DETECTED_MS, CHEAP_MS)


def slower_detector(rounds: np.ndarray, share: float) -> np.ndarray:
    """The mean frame by ``share`` slower, all of it in the frames with a detection."""
    mean = (DETECTED_MS + (EVERY - 1) * CHEAP_MS) / EVERY
    changed = rounds.copy()
    changed[0, :, ::EVERY] *= 1 + share * mean * EVERY / DETECTED_MS
    return changed


def test_simulated_pairs_with_a_detector_in_every_third_frame() -> None:
    """The same of a slower detector, which no median of frames shows; 2000 pairs give 0.1 % and 99 %."""
    rng = np.random.default_rng(9)
    false = caught = elsewhere = 0
    for _ in range(PAIRS):
        a, b = frames(rng), frames(rng)
        before = report(a, every=EVERY)
        false += any(row["verdict"] != "same" for row in compare.compare(before, report(b, every=EVERY)))
        after = report(slower_detector(b, 0.05), every=EVERY)
        verdicts = [row["verdict"] for row in compare.compare(before, after)]
        caught += verdicts[0] == "slower"
        elsewhere += any(verdict != "same" for verdict in verdicts[1:])
    print(f"A/A alarms {false}, 5 % caught {caught}, alarms elsewhere {elsewhere}, of {PAIRS}")
    assert false <= 0.01 * PAIRS
    assert caught >= 0.95 * PAIRS
    assert elsewhere <= 0.01 * PAIRS


def test_a_much_slower_detector_is_the_mean_frame_slower() -> None:
    rng = np.random.default_rng(10)
    a, b = frames(rng, 1), slower_detector(frames(rng, 1), 0.36)
    [row] = compare.compare(report(a, every=EVERY), report(b, every=EVERY))
    assert row["verdict"] == "slower"
    assert row["change"] == pytest.approx(36, abs=5)


def test_reports_with_other_intervals_are_compared_over_turns_of_both() -> None:
    """Detection in every 2nd frame is dearer than in every 3rd: (1.5 + 0.3)/2 ms against (1.5 + 0.6)/3."""
    shape = np.ones((1, ROUNDS, 96))
    third = shape * np.where(np.arange(96) % 3 == 0, DETECTED_MS, CHEAP_MS)
    second = shape * np.where(np.arange(96) % 2 == 0, DETECTED_MS, CHEAP_MS)
    [row] = compare.compare(report(third, every=3), report(second, every=2))
    assert (row["before"], row["after"]) == (pytest.approx(0.7), pytest.approx(0.9))


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


def pair(factor: float = 1.0, better: str = "less") -> tuple[dict, dict]:
    rng = np.random.default_rng(8)
    a, b = latencies(rng, 2), latencies(rng, 2)
    b[1] *= factor
    return report(a, better), report(b, better)


@pytest.mark.parametrize(
    ("factor", "better", "verdict"),
    [(1.1, "less", "slower"), (0.9, "less", "faster"), (1.1, "more", "faster"), (0.9, "more", "slower")],
)
def test_verdicts_and_their_sense(factor: float, better: str, verdict: str) -> None:
    before, after = pair(factor, better)
    still, changed = compare.compare(before, after)
    assert (still["verdict"], changed["verdict"]) == ("same", verdict)
    assert changed["name"] == "metric 1"
    assert changed["change"] == pytest.approx(100 * factor - 100, abs=3)  # four standard errors
    assert changed["change"] == pytest.approx(100 * (changed["after"] / changed["before"] - 1))
    assert changed["p"] < 0.001
    assert compare.compare(before, after) == [still, changed]


def test_a_change_below_the_floor_is_the_same_however_sure() -> None:
    steady = np.full((1, 10, 5), 4.0) + np.arange(10)[:, None] * 1e-6
    [row] = compare.compare(report(steady), report(1.02 * steady))
    assert row["p"] < 0.001
    assert row["verdict"] == "same"


def test_zeros() -> None:
    """A stage that nothing happened in is no metric; one that began to happen is."""
    none, some = np.zeros((1, 10, 3)), np.ones((1, 10, 3))
    both = np.concatenate([none, some])
    assert [row["name"] for row in compare.compare(report(both), report(both))] == ["metric 1"]
    with pytest.raises(ReportError, match="no latency or age"):
        compare.compare(report(none), report(none))
    [row] = compare.compare(report(none), report(some))
    assert (row["verdict"], row["change"]) == ("slower", np.inf)
    assert compare.comparison([row], [])["rows"][0]["change"] is None
    assert compare.compare(report(some), report(none))[0]["verdict"] == "faster"


def test_holm() -> None:
    """The example of the step-down: the third p fails at 0.05 / 2, and so does all that follows."""
    assert compare.holm([0.03, 0.005, 0.06, 0.01], 0.05) == [False, True, False, True]
    assert compare.holm([], 0.05) == []
    assert compare.holm([0.02, 0.03], 0.05) == [True, True]


def test_doubts() -> None:
    before, after = pair()
    assert list(compare.doubts(before, after)) == []
    other = copy.deepcopy(after)
    other["fingerprint"] |= {"board": "Jetson Orin Nano", "kernel": "another"}
    other["measurements"][0]["rounds"] = [[1.0]]
    del other["measurements"][1]
    board, few, alone = compare.doubts(before, other)
    assert "board differs" in board
    assert "Raspberry Pi 5 then Jetson Orin Nano" in board
    assert few == "too few rounds to tell anything, measure 10: metric 0"
    assert alone == "in one report only: metric 1"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"setup": {"detector_every": 2}},
            'setup differs, which may be the reason: {"detector_every": 1} then',
        ),
        ({"libraries": {"numpy": "2.2.6", "onnxruntime": "1.23.0"}}, 'then {"onnxruntime": "1.23.0"}'),
        ({"command": ["emotion-bench", "pipeline", "--frames", "60"]}, "options differs"),
        ({"command": ["emotion-bench", "pipeline", "--frames", "990", "--luma", "--json=b"]}, "--luma"),
        ({"governor": "powersave"}, "governor differs"),
    ],
)
def test_what_may_be_the_reason_is_told(changes: dict, told: str) -> None:
    before, after = pair()
    after["fingerprint"] |= changes
    [doubt] = compare.doubts(before, after)
    assert told in doubt


def test_a_busy_machine_is_told() -> None:
    before, after = pair()
    for made, load in ((before, 2.0), (after, 2.1)):
        made["fingerprint"] |= {"load_1min_before": load, "cores_allowed": 4}
    [doubt] = compare.doubts(before, after)
    assert doubt.startswith("the machine was busy before the second run: load 2.1 on 4 cores")


@pytest.mark.parametrize("where", [["--json", "b.json"], ["--json=b.json"], ["--js", "b", "--htm", "c.html"]])
def test_where_a_report_was_kept_is_no_reason(where: list[str]) -> None:
    before, after = pair()
    after["fingerprint"]["command"] = ["emotion-bench", "pipeline", *where, "--frames", "990"]
    assert list(compare.doubts(before, after)) == []


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
        ("[]", "'list'"),
        ({}, "None"),
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
    with pytest.raises(ReportError, match=r"b\.json cannot be read: No such file"):
        run(tmp_path, pair()[0])


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReportError, match="not JSON"):
        run(tmp_path, pair()[0])
