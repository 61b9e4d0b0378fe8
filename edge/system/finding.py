"""What a check has found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge.errors import EdgeError
from edge.system.one_line import one_line

OK, NOTE, WARNING, FAULT = LEVELS = ("ok", "note", "warning", "fault")
EXIT_CODES = {OK: 0, NOTE: 0, WARNING: 1, FAULT: 2}


@dataclass(frozen=True)
class Finding:
    """One line for a person. ``fix`` is a command where there is one, else a few words; "" if none is due."""

    check: str  # which one found it, see edge.doctor.checks
    level: str  # ok, note, warning or fault
    text: str
    fix: str = ""

    def __post_init__(self) -> None:
        # What a file, a driver or a library says is part of it; of a name, bytes that are no UTF-8.
        for name in ("text", "fix"):
            told = getattr(self, name).strip().encode("utf-8", "backslashreplace").decode()
            object.__setattr__(self, name, one_line(told))


def of_error(check: str, level: str, error: EdgeError, fix: str = "", other: str = "") -> Finding:
    """A finding with the words of an error, whose fix stands behind its first semicolon.

    ``fix`` takes its place, ``other`` serves where an error has none.
    """
    text, _, said = str(error).partition("; ")
    return Finding(check, level, text, fix or said or other)


def not_looked_at(check: str, what: str) -> Finding:
    """What only the running system tells, where the files of another one are looked at."""
    return Finding(check, NOTE, f"not looked at: {what} shows only on the running board")


def worst(findings: Iterable[Finding]) -> Finding | None:
    """The first of the highest level; None without findings."""
    return max(findings, key=lambda finding: LEVELS.index(finding.level), default=None)
