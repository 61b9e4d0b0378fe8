"""Whether a second report is slower than the first: ``emotion-bench compare BEFORE.json AFTER.json``.

A metric is called slower or faster where both hold:

1. Its permutation p over the medians of rounds stays below the threshold of Holm (1979), which keeps the
   chance of any false alarm in the whole report at ALPHA, however many metrics it has.
2. It changed by more than FLOOR. Rounds of one run drift together, which makes p too small; two runs never
   start alike (clocks, addresses in memory), which no p of two runs can see. In simulated reports of 8
   metrics, 10 rounds x 100 samples with 10 % noise and an AR(1) drift of 0.7 %, rule 1 alone raises a false
   alarm in 4 % of the pairs, with a floor of 2 % in 2.5 %, with 3 % in 0.1 %, and a slowdown of 5 % is found
   in 99 %. At a drift of 1 % these are 0.8 % and 98 %; at 1.5 % they are 7 % and 90 %, and the remedy is
   a quieter machine: fixed clocks, a fan, more rounds.

"same" says that no difference was shown, not that there is none.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from math import comb, exp, inf, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import stats
from edge.errors import EdgeError

SCHEMA = "emotion-bench/1"
ALPHA = 0.01  # of one or more false alarms in a report
FLOOR = 3.0  # percent
SAME_WORK = ("board", "bundle", "inputs")  # what must agree for a change to be the program's


class ReportError(EdgeError):
    """A report that cannot be read, or two that have nothing to compare."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``emotion-bench compare``."""
    parser.add_argument("before", type=Path, metavar="BEFORE.json")
    parser.add_argument("after", type=Path, metavar="AFTER.json")
    parser.add_argument("--seed", type=int, default=0, help="of the permutations (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Print a table; 0 where all is the same or faster, 1 where something is slower.

    Raises ReportError, exit code 2, where a file cannot be read or is no report.
    """
    before, after = load(args.before), load(args.after)
    rows = compare(before, after, args.seed)
    for doubt in doubts(before, after):
        print(f"warning: {doubt}", file=sys.stderr)
    print(table(rows))
    return int(any(row["verdict"] == "slower" for row in rows))


def load(path: Path) -> dict[str, Any]:
    """The report in a file; raises ReportError where there is none."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path} is no JSON; give a report that emotion-bench wrote") from error
    found = report.get("schema") if isinstance(report, dict) else type(report).__name__
    if found != SCHEMA:
        raise ReportError(f"{path} has schema {found!r}, expected {SCHEMA!r}; measure again")
    fault = next(_faults(report), None)
    if fault:
        raise ReportError(f"{path}: {fault}; measure again")
    return dict(report)


def _faults(report: dict[str, Any]) -> Iterator[str]:
    if not isinstance(report.get("fingerprint"), dict):
        yield "it has no fingerprint"
    measurements = report.get("measurements")
    for at, one in enumerate(measurements if isinstance(measurements, list) else [None]):
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            yield f"measurement {at} is missing or has no name"
        elif one.get("better") not in ("less", "more"):
            yield f"{one['name']}: better is {one.get('better')!r}, expected 'less' or 'more'"
        elif not _are_rounds(one.get("rounds")):
            yield f"{one['name']}: rounds are missing or empty, or hold something other than finite numbers"


def _are_rounds(rounds: Any) -> bool:
    return isinstance(rounds, list) and bool(rounds) and all(_is_round(one) for one in rounds)


def _is_round(samples: Any) -> bool:
    return isinstance(samples, list) and bool(samples) and all(_is_number(value) for value in samples)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def compare(a: dict[str, Any], b: dict[str, Any], seed: int = 0) -> list[dict[str, Any]]:
    """A row for every metric that both reports have, in the order of ``a``.

    ``name``, ``unit``, ``before`` and ``after`` (geometric mean of the medians of the rounds), ``change`` in
    percent, ``p``, and ``verdict``: "slower", "faster" or "same"; slower is less where more is better.

    Raises ReportError where no metric is in both, or one has another unit or sense.
    """
    pairs = _pairs(a, b)
    # Monte Carlo needs some permutations beyond the smallest threshold, ALPHA / metrics.
    permutations = max(10_000, 1000 * len(pairs))
    rows = [_row(old, new, seed, permutations) for old, new in pairs]
    significant = holm([row["p"] for row in rows])
    for row, alarm, (old, _) in zip(rows, significant, pairs, strict=True):
        worse = (row["change"] > 0) == (old["better"] == "less")
        row["verdict"] = ("slower" if worse else "faster") if alarm and abs(row["change"]) > FLOOR else "same"
    return rows


def _pairs(a: dict[str, Any], b: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    others = {one["name"]: one for one in b["measurements"]}
    pairs = [(one, others[one["name"]]) for one in a["measurements"] if one["name"] in others]
    if not pairs:
        raise ReportError(f"no metric is in both reports: of kinds {a.get('kind')!r} and {b.get('kind')!r}")
    for old, new in pairs:
        if any(old.get(key) != new.get(key) for key in ("unit", "better")):
            raise ReportError(f"{old['name']} has another unit or sense in the second report; measure again")
    return pairs


def _row(old: dict[str, Any], new: dict[str, Any], seed: int, permutations: int) -> dict[str, Any]:
    medians = [stats.medians(one["rounds"]) for one in (old, new)]
    before, after = _centres(*medians)
    change = 100 * (after - before) / abs(before) if before else 100 * (inf if after > 0 else -inf)
    return {
        "name": old["name"], "unit": old.get("unit", ""), "before": before, "after": after,
        "change": 0.0 if before == after else change,
        "p": stats.permutation_p(old["rounds"], new["rounds"], seed, permutations),
    }  # fmt: skip


def _centres(*sides: stats.Floats) -> list[float]:
    """Geometric means, which the logarithms of the test compare; plain ones where a median is 0 or less."""
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
    for key in SAME_WORK:
        old, new = a["fingerprint"].get(key), b["fingerprint"].get(key)
        if old != new:
            yield f"{key} differs, which may be the reason: {_short(old, new)} then {_short(new, old)}"
    pairs = _pairs(a, b)
    few = [old["name"] for old, new in pairs if _too_few(len(old["rounds"]), len(new["rounds"]), len(pairs))]
    if few:
        yield f"too few rounds to tell anything, measure 10: {', '.join(few)}"
    names = [{one["name"] for one in report["measurements"]} for report in (a, b)]
    if alone := sorted(names[0] ^ names[1]):
        yield f"in one report only: {', '.join(alone)}"


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
    """The rows for people, then how many alarms there are."""
    wide = max(len(row["name"]) for row in rows)
    lines = [f"{'metric':{max(wide, 6)}} {'before':>10} {'after':>10} {'':5} {'change':>8} {'p':>7}  verdict"]
    lines += [
        f"{row['name']:{max(wide, 6)}} {row['before']:10.4g} {row['after']:10.4g} {row['unit']:5} "
        f"{row['change']:+7.1f}% {row['p']:7.4f}  {row['verdict']}"
        for row in rows
    ]
    count = {kind: sum(row["verdict"] == kind for row in rows) for kind in ("slower", "faster", "same")}
    return "\n".join([*lines, ", ".join(f"{number} {kind}" for kind, number in count.items())])
