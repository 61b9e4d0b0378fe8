"""Texts of a report: fitting them on one line, formatting numbers, and parsing the limit of a figure."""

from __future__ import annotations

import re
from math import nan
from typing import Any

_ASKED = re.compile(r"\s*([<>]=)\s*([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*(.*?)\s*")


def plain(text: object, width: int = 10_000) -> str:
    """One printable line without control characters or lone surrogates, cut at ``width``; not yet HTML."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(str(text).split()))
    return line if len(line) <= width else line[: width - 1] + "…"


def short(value: float) -> str:
    """Three significant digits, without an exponent where that stays readable."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def asked(figure: dict[str, Any]) -> tuple[str, float] | None:
    """Sign and value of the limit of a figure, such as ">= 3" or "<= 1 %"; None for any other wording."""
    match = _ASKED.fullmatch(figure["asked"])
    if match and match[3] in ("", figure["unit"]):
        return match[1], float(match[2])
    return None


def is_number(value: Any) -> bool:
    """Whether ``value`` is a number of JSON, where true is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def value_of(entry: Any) -> float:
    """The value of a summary's entry, with or without an interval; NaN if there are too few samples."""
    value = entry["value"] if isinstance(entry, dict) else entry
    return nan if value is None else float(value)
