"""Whether a second report is slower than the first: ``emotion-bench compare BEFORE.json AFTER.json``.

A metric counts as slower or faster if both of these hold:

1. Its permutation p over the rounds, one number each (``stats.middle``), is below the threshold of Holm
   (1979). That keeps the probability of any false alarm among all metrics at ALPHA.
2. It changed by more than FLOOR. Rounds of one run drift together, which makes p too small. Also, two runs
   never start alike (clocks, memory addresses), which no p of two runs can account for.

Only latencies and ages are judged. Stages and jitter show where a change came from. They have an ALPHA of
their own, so that many parts do not mask the whole, and do not affect the exit code.

Its power was measured on 2000 simulated pairs of reports. They have 10 rounds x 99 samples, 10 % noise, 1 %
of outliers that take five times as long, and an AR(1) drift of 0.7 % between rounds. There are 0.1 % false
alarms, and a slowdown of 5 % is found in 99 %. This holds if all frames cost the same (8 metrics). It also
holds if only every third frame has a detection and became slower (1 or 2 metrics; 98 % with 8). Rule 1 alone
raises an alarm in 3 to 4 % of the pairs. On a machine that drifts more, expect false alarms: fix the clocks,
use a fan.

"same" means that no difference was shown, not that there is none. Tails are not compared.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from math import comb, exp, inf, isfinite, lcm
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.core import stats
from benchmarks.core.report import SCHEMA, ReportError, columns, encoded, read
from benchmarks.core.report_files import add_force, report_files

HELP = "tell whether the second report is slower than the first"
ALPHA = 0.01  # probability of one or more false alarms in a report
FLOOR = 3.0  # percent
JUDGED = ("latency", "age")  # groups of measurements; the others are parts of these
# What must agree for a change to be due to the program.
SAME_WORK = ("board", "cores_allowed", "governor", "libraries", "bundle", "inputs", "setup")
_OUTPUTS = ("--json", "--html")  # options that do not change what is measured
Pair = tuple[dict[str, Any], dict[str, Any]]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The two reports."""
    parser.add_argument("before", type=Path, metavar="BEFORE.json", help="the first report")
    parser.add_argument("after", type=Path, metavar="AFTER.json", help="the second report")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the random numbers of the test (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON")
    add_force(parser)


def run(args: argparse.Namespace) -> int:
    """Print a table; 1 if something judged is slower, else 0.

    Raises ReportError, exit code 2, if a file cannot be read or is not a report.
    """
    with report_files(args) as files:
        before, after = read(args.before), read(args.after)
        rows = compare(before, after, args.seed)
        warnings = list(doubts(before, after))
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)
        print(table(rows))
        if "json" in files:
            files["json"].write(encoded(comparison(rows, warnings)))
    return int(any(row["judged"] and row["verdict"] == "slower" for row in rows))


def comparison(rows: list[dict[str, Any]], warnings: list[str]) -> dict[str, Any]:
    """The document of ``--json``; a change from 0 has no percentage, because JSON has no infinity."""
    finite = [row | {"change": row["change"] if isfinite(row["change"]) else None} for row in rows]
    return {"schema": SCHEMA, "kind": "compare", "rows": finite, "doubts": warnings}


def compare(a: dict[str, Any], b: dict[str, Any], seed: int = 0) -> list[dict[str, Any]]:
    """A row for every metric in both reports, judged ones first, in the order of ``a``.

    ``name``, ``unit``, ``judged``, ``before`` and ``after`` (geometric mean of the rounds), ``change`` in
    percent, ``p``, and ``verdict``: "slower", "faster" or "same". "slower" means worse, whatever the sense.
    Metrics that are 0 in both reports are left out.

    Raises ReportError if no latency or age is in both, or a metric differs in unit or sense.
    """
    turn, pairs = _turn(a, b), _pairs(a, b)
    judged = [pair for pair in pairs if _is_judged(pair)]
    parts = [pair for pair in pairs if not _is_judged(pair)]
    return [*_family(judged, turn, seed), *_family(parts, turn, seed)]


def _turn(a: dict[str, Any], b: dict[str, Any]) -> int:
    """Frames between detections, or whole turns of both reports if they differ."""
    setups = [report["fingerprint"].get("setup") for report in (a, b)]
    intervals = [setup.get("detector_every") if isinstance(setup, dict) else None for setup in setups]
    return lcm(*(every for every in intervals if type(every) is int and every > 0))


def _pairs(a: dict[str, Any], b: dict[str, Any]) -> list[Pair]:
    others = {entry["name"]: entry for entry in b["measurements"]}
    pairs = [(entry, others[entry["name"]]) for entry in a["measurements"] if entry["name"] in others]
    pairs = [pair for pair in pairs if any(map(_is_nonzero, pair))]
    if not any(map(_is_judged, pairs)):
        kinds = f"of kinds {a.get('kind')!r} and {b.get('kind')!r}"
        raise ReportError(f"no latency or age is in both reports, {kinds}; compare two of one kind")
    for old, new in pairs:
        if any(old.get(key) != new.get(key) for key in ("unit", "better", "group")):
            raise ReportError(f"{old['name']} has another unit or sense in the second report; measure again")
    return pairs


def _is_nonzero(entry: dict[str, Any]) -> bool:
    return any(any(part) for part in entry["rounds"])


def _is_judged(pair: Pair) -> bool:
    return pair[0]["group"] in JUDGED


def _family(pairs: list[Pair], turn: int, seed: int) -> list[dict[str, Any]]:
    """Rows with verdicts that share one ALPHA."""
    # Monte Carlo needs enough permutations to resolve the smallest threshold, ALPHA / metrics.
    permutations = max(10_000, 1000 * len(pairs))
    rows = [_row(pair, turn, seed, permutations) for pair in pairs]
    significant = holm([row["p"] for row in rows])
    for row, alarm, (old, _) in zip(rows, significant, pairs, strict=True):
        worse = (row["change"] > 0) == (old["better"] == "less")
        row["verdict"] = ("slower" if worse else "faster") if alarm and abs(row["change"]) > FLOOR else "same"
    return rows


def _row(pair: Pair, turn: int, seed: int, permutations: int) -> dict[str, Any]:
    old, new = pair
    before, after = _centers(*(stats.block_values(entry["rounds"], turn) for entry in pair))
    change = 100 * (after - before) / abs(before) if before else 100 * (inf if after > 0 else -inf)
    return {
        "name": old["name"], "unit": old["unit"], "judged": _is_judged(pair),
        "before": before, "after": after, "change": 0.0 if before == after else change,
        "p": stats.permutation_p(old["rounds"], new["rounds"], seed, permutations, turn),
    }  # fmt: skip


def _centers(*sides: stats.Floats) -> list[float]:
    """Geometric means, as the test compares logarithms; arithmetic ones if a round is 0 or less."""
    if min(side.min() for side in sides) > 0:
        return [exp(float(np.log(side).mean())) for side in sides]
    return [float(side.mean()) for side in sides]


def holm(ps: list[float], alpha: float = ALPHA) -> list[bool]:
    """Which of ``ps`` are significant, with a family-wise error rate of at most ``alpha``: Holm 1979."""
    significant = [False] * len(ps)
    for left, at in zip(range(len(ps), 0, -1), sorted(range(len(ps)), key=ps.__getitem__), strict=True):
        if ps[at] > alpha / left:
            break
        significant[at] = True
    return significant


def doubts(a: dict[str, Any], b: dict[str, Any]) -> Iterator[str]:
    """Reasons to doubt the verdicts, one line each."""
    fingerprints = [report["fingerprint"] for report in (a, b)]
    fingerprints = [one | {"options": _options(one)} for one in fingerprints]
    for key in (*SAME_WORK, "options"):
        old, new = (one.get(key) for one in fingerprints)
        if old != new:
            yield f"{key} differs, which may be the reason: {_excerpt(old, new)} then {_excerpt(new, old)}"
    for which, one in zip(("first", "second"), fingerprints, strict=True):
        yield from _load(which, one)
    pairs = _pairs(a, b)
    judged = sum(map(_is_judged, pairs))
    few = [old["name"] for old, new in pairs if _too_few(len(old["rounds"]), len(new["rounds"]), judged)]
    if few:
        yield f"too few rounds to tell anything, measure 10: {', '.join(few)}"
    names = [{entry["name"] for entry in report["measurements"]} for report in (a, b)]
    if alone := sorted(names[0] ^ names[1]):
        yield f"in one report only: {', '.join(alone)}"


def _load(which: str, fingerprint: dict[str, Any]) -> Iterator[str]:
    """A high load before a run; up to half of the cores may be left over from our own previous run."""
    load, cores = fingerprint.get("load_1min_before"), fingerprint.get("cores_allowed")
    if isinstance(load, (int, float)) and isinstance(cores, int) and load > cores / 2:
        yield (
            f"the machine was busy before the {which} run: load {load:.1f} on {cores} cores; "
            "measure again on an idle machine"
        )


def _options(fingerprint: dict[str, Any]) -> str:
    """The command without the options that only say where to write the report."""
    options: list[str] = []
    words = iter(fingerprint.get("command") or [])
    for word in map(str, words):
        name, equals, _ = word.partition("=")
        # argparse accepts any unambiguous prefix of an option.
        if len(name) > 2 and any(option.startswith(name) for option in _OUTPUTS):
            if not equals:
                next(words, None)
        elif not (len(name) > 3 and "--force".startswith(name)):
            options.append(word)
    return " ".join(options)


def _too_few(before: int, after: int, metrics: int) -> bool:
    """Whether p could not pass Holm's first threshold even if every round was slower."""
    return (2 if before == after else 1) / comb(before + after, before) > ALPHA / metrics


def _excerpt(value: Any, other: Any) -> str:
    """A value on one line; of two dicts only what differs."""
    if isinstance(value, dict) and isinstance(other, dict):
        value = {key: part for key, part in value.items() if other.get(key) != part}
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text, judged ones first, and a count of the verdicts."""
    judged = [row for row in rows if row["judged"]]
    parts = [row for row in rows if not row["judged"]]
    cells = [["metric", "before", "after", "", "change", "p", "verdict"], *map(_cells, judged + parts)]
    lines = columns(cells, left=(0, 3, 6))
    if parts:
        lines.insert(1 + len(judged), "for information, not part of the verdict:")
    return "\n".join([*lines, _count(judged)])


def _cells(row: dict[str, Any]) -> list[str]:
    values = [f"{row[side]:.4g}" for side in ("before", "after")]
    return [row["name"], *values, row["unit"], f"{row['change']:+.1f}%", f"{row['p']:.4f}", row["verdict"]]


def _count(rows: list[dict[str, Any]]) -> str:
    kinds = ("slower", "faster", "same")
    return ", ".join(f"{sum(row['verdict'] == kind for row in rows)} {kind}" for kind in kinds)
