"""Findings as lines for a person, and as JSON for a program."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

from edge.system.finding import EXIT_CODES, LEVELS, NOTE, WARNING, Finding, worst
from edge.version import __version__

SCHEMA = "emotion-edge-doctor/1"
_NARROW, _WIDE = 60, 110  # columns


def lines(findings: Sequence[Finding], columns: int | None = None) -> Iterator[str]:
    """One row for each finding, the worst last, where the eye is; each fix stands below its own."""
    columns = columns or shutil.get_terminal_size((_WIDE, 24)).columns
    columns = min(max(columns, _NARROW), _WIDE)
    level_width = max(map(len, LEVELS))
    name_width = max((len(finding.check) for finding in findings), default=0)
    margin = level_width + name_width + 4
    for finding in sorted(findings, key=lambda found: LEVELS.index(found.level)):
        head = f"{finding.level:<{level_width}}  {finding.check:<{name_width}}  "
        # Words are not broken, so that a path or an address can be copied; nor are commands, in any way.
        rows = wrap(finding.text, columns - margin, break_long_words=False, break_on_hyphens=False)
        yield f"{head}{rows[0] if rows else ''}".rstrip()
        yield from (" " * margin + row for row in rows[1:])
        if finding.fix:
            yield f"{' ' * margin}fix: {finding.fix}"
    yield summary(findings)


def summary(findings: Sequence[Finding]) -> str:
    """How many of what: "1 fault, 2 warnings"."""
    counts = {level: sum(found.level == level for found in findings) for level in (*LEVELS[:1:-1], NOTE)}
    told = [f"{count} {level}{'s' * (count != 1)}" for level, count in counts.items() if count]
    return ", ".join(told) or "nothing is wrong"


def worst_line(findings: Sequence[Finding]) -> str:
    """The worst finding with its fix in one line, where it is at least a warning."""
    found = worst(findings)
    if found is None or LEVELS.index(found.level) < LEVELS.index(WARNING):
        return "nothing is wrong"
    return f"{found.level}: {found.check}: {found.text}" + (f"; fix: {found.fix}" if found.fix else "")


def exit_code(findings: Sequence[Finding]) -> int:
    """0 if nothing is worse than a note, 1 for a warning, 2 for a fault."""
    found = worst(findings)
    return EXIT_CODES[found.level] if found else 0


def document(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings, ready for JSON."""
    found = worst(findings)
    return {
        "schema": SCHEMA,
        "version": __version__,
        "worst": found.level if found else LEVELS[0],
        "findings": [vars(finding) for finding in findings],
    }


def as_json(findings: Sequence[Finding]) -> str:
    """``document`` as text with one finding a line."""
    return json.dumps(document(findings), indent=1, ensure_ascii=False)
