"""How fast this project wants to be. Reports do not say it: a reader has goals of their own.

``PYTHONPATH=. python tests/helpers/goals.py REPORT.json...`` judges reports of emotion-bench by them. Their
figures and goals for one machine are in docs/benchmarks.md.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.core.report import read, verdict


class Goal(NamedTuple):
    """A limit for the figures of a kind of report whose name matches."""

    kind: str
    name: str  # a regular expression
    limit: str


GOALS = (
    Goal("model", r"share of the peak of u8 products: int8-cpu, threads 1, faces 1", ">= 0.6"),
    Goal("model", r"each further face: .*", "<= 1.15"),
    Goal("peers", r"Haar \+ mini-XCEPTION / .*", ">= 40"),
    Goal("peers", r"YuNet \d+ \+ mini-XCEPTION / .*", ">= 5"),
    Goal("peers", r"network: a window of \d+ frames again / .*", ">= 12"),
    Goal("peers", r"frames with all boxes of the detector alone held.*", ">= 0.95"),
    Goal("start", r"first estimate", "<= 0.4"),
    Goal("start", r"peak memory", "<= 120"),
    Goal("age", r"p99 of age", "<= 1.5"),
    Goal("pipeline", r"sum of the stages, off the whole", "<= 0.02"),
)


def judged(report: dict[str, Any]) -> Iterator[str]:
    """One line for each figure with a goal."""
    for entry in report["figures"]:
        for goal in GOALS:
            if goal.kind == report["kind"] and re.fullmatch(goal.name, entry["name"]):
                result = verdict(entry | {"asked": goal.limit})
                words = "n/a" if result is None else ("met" if result[0] else "MISSED")
                yield f"{words}: {entry['name']} is {entry['value']}, goal {goal.limit}"


if __name__ == "__main__":
    for path in sys.argv[1:]:
        print(*judged(read(Path(path))), sep="\n")
