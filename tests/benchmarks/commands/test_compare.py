"""Verdicts of ``compare``: quiet on two runs of the same program, loud on a slowdown of 5 %."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from simulated_reports import CHEAP_MS, DETECTED_MS, EVERY, PAIRS, ROUNDS, SAMPLES, latencies, pair, report

from benchmarks.commands import compare
from benchmarks.core.report import ReportError


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
