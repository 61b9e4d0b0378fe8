"""Whether a second report is slower than the first: ``emotion-bench compare BEFORE.json AFTER.json``.

A metric is called slower or faster where both hold:

1. Its permutation p over the rounds, one number each (``stats.middle``), stays below the threshold of Holm
   (1979), which keeps the chance of any false alarm among all of them at ALPHA.
2. It changed by more than FLOOR. Rounds of one run drift together, which makes p too small; two runs never
   start alike (clocks, addresses in memory), which no p of two runs can see.

Latencies and ages are what is judged. Stages and jitter tell where a change came from: they have an ALPHA of
their own, so that many parts do not hide the whole, and no say in the exit code.

What this sees in 2000 simulated pairs of reports: 10 rounds x 99 samples, 10 % noise, 1 % of outliers that
take five times as long, an AR(1) drift of 0.7 % between rounds. False alarms come in 0.1 %, and a slowdown of
5 % is found in 99 %: where all frames cost the same (8 metrics), and where two of three are cheap and the
third alone, which has the detection, became slower (1 or 2 metrics; 98 % with 8). By rule 1 alone 3 to 4 % of
the pairs raise an alarm. Where a machine drifts more, alarms become false: fix the clocks, use a fan.

"same" says that no difference was shown, not that there is none. Tails are not compared.
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
from benchmarks.core.report import SCHEMA, ReportError, check_writable, columns, read, write

ALPHA = 0.01  # of one or more false alarms in a report
FLOOR = 3.0  # percent
JUDGED = ("latency", "age")  # groups of measurements; the others are parts of these
# What must agree for a change to be the program's.
SAME_WORK = ("board", "cores_allowed", "governor", "libraries", "bundle", "inputs", "setup")
_WHERE_TO = ("--json", "--html")  # options of a command that change nothing of its work
Pair = tuple[dict[str, Any], dict[str, Any]]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``emotion-bench compare``."""
    parser.add_argument("before", type=Path, metavar="BEFORE.json")
    parser.add_argument("after", type=Path, metavar="AFTER.json")
    parser.add_argument("--seed", type=int, default=0, help="of the permutations (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the rows of the table")


def run(args: argparse.Namespace) -> int:
    """Print a table; 0 where all is the same or faster, 1 where something judged is slower.

    Raises ReportError, exit code 2, where a file cannot be read or is no report.
    """
    check_writable(args.json)
    before, after = read(args.before), read(args.after)
    rows = compare(before, after, args.seed)
    doubtful = list(doubts(before, after))
    for doubt in doubtful:
        print(f"warning: {doubt}", file=sys.stderr)
    print(table(rows))
    if args.json:
        write(args.json, comparison(rows, doubtful))
    return int(any(row["judged"] and row["verdict"] == "slower" for row in rows))


def comparison(rows: list[dict[str, Any]], doubtful: list[str]) -> dict[str, Any]:
    """What ``--json`` keeps; a change from 0 has no percentage, as JSON has no infinity."""
    finite = [row | {"change": row["change"] if isfinite(row["change"]) else None} for row in rows]
    return {"schema": SCHEMA, "kind": "compare", "rows": finite, "doubts": doubtful}


def compare(a: dict[str, Any], b: dict[str, Any], seed: int = 0) -> list[dict[str, Any]]:
    """A row for every metric that both reports have, judged ones first, in the order of ``a``.

    ``name``, ``unit``, ``judged``, ``before`` and ``after`` (geometric mean of the rounds), ``change`` in
    percent, ``p``, and ``verdict``: "slower", "faster" or "same"; slower is less where more is better.
    What is 0 in both reports is left out.

    Raises ReportError where no latency or age is in both, or a metric has another unit or sense.
    """
    turn, pairs = _turn(a, b), _pairs(a, b)
    judged = [pair for pair in pairs if _is_judged(pair)]
    parts = [pair for pair in pairs if not _is_judged(pair)]
    return [*_family(judged, turn, seed), *_family(parts, turn, seed)]


def _turn(a: dict[str, Any], b: dict[str, Any]) -> int:
    """Frames from one detection to the next, or whole turns of both reports where they differ."""
    setups = [report["fingerprint"].get("setup") for report in (a, b)]
    found = [one.get("detector_every") if isinstance(one, dict) else None for one in setups]
    return lcm(*(every for every in found if type(every) is int and every > 0))


def _pairs(a: dict[str, Any], b: dict[str, Any]) -> list[Pair]:
    others = {one["name"]: one for one in b["measurements"]}
    pairs = [(one, others[one["name"]]) for one in a["measurements"] if one["name"] in others]
    pairs = [pair for pair in pairs if any(map(_is_something, pair))]
    if not any(map(_is_judged, pairs)):
        kinds = f"of kinds {a.get('kind')!r} and {b.get('kind')!r}"
        raise ReportError(f"no latency or age is in both reports, {kinds}; compare two of one kind")
    for old, new in pairs:
        if any(old.get(key) != new.get(key) for key in ("unit", "better", "group")):
            raise ReportError(f"{old['name']} has another unit or sense in the second report; measure again")
    return pairs


def _is_something(entry: dict[str, Any]) -> bool:
    return any(any(part) for part in entry["rounds"])


def _is_judged(pair: Pair) -> bool:
    return pair[0]["group"] in JUDGED


def _family(pairs: list[Pair], turn: int, seed: int) -> list[dict[str, Any]]:
    """Rows with their verdicts, which share one ALPHA."""
    # Monte Carlo needs some permutations beyond the smallest threshold, ALPHA / metrics.
    permutations = max(10_000, 1000 * len(pairs))
    rows = [_row(pair, turn, seed, permutations) for pair in pairs]
    significant = holm([row["p"] for row in rows])
    for row, alarm, (old, _) in zip(rows, significant, pairs, strict=True):
        worse = (row["change"] > 0) == (old["better"] == "less")
        row["verdict"] = ("slower" if worse else "faster") if alarm and abs(row["change"]) > FLOOR else "same"
    return rows


def _row(pair: Pair, turn: int, seed: int, permutations: int) -> dict[str, Any]:
    old, new = pair
    before, after = _centers(*(stats.witnesses(one["rounds"], turn) for one in pair))
    change = 100 * (after - before) / abs(before) if before else 100 * (inf if after > 0 else -inf)
    return {
        "name": old["name"], "unit": old["unit"], "judged": _is_judged(pair),
        "before": before, "after": after, "change": 0.0 if before == after else change,
        "p": stats.permutation_p(old["rounds"], new["rounds"], seed, permutations, turn),
    }  # fmt: skip


def _centers(*sides: stats.Floats) -> list[float]:
    """Geometric means, which the logarithms of the test compare; plain ones where a round is 0 or less."""
    if min(side.min() for side in sides) > 0:
        return [exp(float(np.log(side).mean())) for side in sides]
    return [float(side.mean()) for side in sides]


def holm(ps: list[float], alpha: float = ALPHA) -> list[bool]:
    """Which of ``ps`` are significant so that any is falsely so with probability <= ``alpha``: Holm 1979."""
    significant = [False] * len(ps)
    for left, at in zip(range(len(ps), 0, -1), sorted(range(len(ps)), key=ps.__getitem__), strict=True):
        if ps[at] > alpha / left:
            break
        significant[at] = True
    return significant


def doubts(a: dict[str, Any], b: dict[str, Any]) -> Iterator[str]:
    """What whoever reads the table has to know, a line each."""
    prints = [one["fingerprint"] | {"options": _options(one["fingerprint"])} for one in (a, b)]
    for key in (*SAME_WORK, "options"):
        old, new = (one.get(key) for one in prints)
        if old != new:
            yield f"{key} differs, which may be the reason: {_short(old, new)} then {_short(new, old)}"
    yield from filter(
        None, (_busy(which, one) for which, one in zip(("first", "second"), prints, strict=True))
    )
    pairs = _pairs(a, b)
    judged = sum(map(_is_judged, pairs))
    few = [old["name"] for old, new in pairs if _too_few(len(old["rounds"]), len(new["rounds"]), judged)]
    if few:
        yield f"too few rounds to tell anything, measure 10: {', '.join(few)}"
    names = [{one["name"] for one in report["measurements"]} for report in (a, b)]
    if alone := sorted(names[0] ^ names[1]):
        yield f"in one report only: {', '.join(alone)}"


def _busy(which: str, fingerprint: dict[str, Any]) -> str | None:
    """Others at work before a run; half of the cores, as a run of ours just before leaves some load too."""
    load, cores = fingerprint.get("load_1min_before"), fingerprint.get("cores_allowed")
    if not isinstance(load, (int, float)) or not isinstance(cores, int) or load <= cores / 2:
        return None
    return (
        f"others were at work before the {which} run: load {load:.1f} on {cores} cores; measure again alone"
    )


def _options(fingerprint: dict[str, Any]) -> str:
    """The words of a command that say what is measured, not those that say where to keep it."""
    kept: list[str] = []
    words = iter(fingerprint.get("command") or [])
    for word in map(str, words):
        name, equals, _ = word.partition("=")
        # argparse takes any clear beginning of an option for the whole.
        if len(name) > 2 and any(option.startswith(name) for option in _WHERE_TO):
            if not equals:
                next(words, None)
        else:
            kept.append(word)
    return " ".join(kept)


def _too_few(before: int, after: int, metrics: int) -> bool:
    """Whether even rounds that are all slower could not pass the first threshold of Holm."""
    return (2 if before == after else 1) / comb(before + after, before) > ALPHA / metrics


def _short(value: Any, other: Any) -> str:
    """One line of a value, of a table only what differs from the other one."""
    if isinstance(value, dict) and isinstance(other, dict):
        value = {key: part for key, part in value.items() if other.get(key) != part}
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for people, what is judged before its parts, then how many alarms there are."""
    judged = [row for row in rows if row["judged"]]
    parts = [row for row in rows if not row["judged"]]
    cells = [["metric", "before", "after", "", "change", "p", "verdict"], *map(_cells, judged + parts)]
    lines = columns(cells, left=(0, 3, 6))
    if parts:
        lines.insert(1 + len(judged), "for information, no part of the verdict:")
    return "\n".join([*lines, _count(judged)])


def _cells(row: dict[str, Any]) -> list[str]:
    values = [f"{row[side]:.4g}" for side in ("before", "after")]
    return [row["name"], *values, row["unit"], f"{row['change']:+.1f}%", f"{row['p']:.4f}", row["verdict"]]


def _count(rows: list[dict[str, Any]]) -> str:
    kinds = ("slower", "faster", "same")
    return ", ".join(f"{sum(row['verdict'] == kind for row in rows)} {kind}" for kind in kinds)
