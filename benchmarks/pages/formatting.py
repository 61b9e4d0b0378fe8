"""Parts of a report in words and back: what its page and its plots write, and what a figure was asked.

The text of a report comes from anywhere; ``plain`` makes it fit for one line, not yet for HTML.
"""

from __future__ import annotations

import re
from typing import Any

_ASKED = re.compile(r"\s*([<>]=)\s*([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*(.*?)\s*")


def plain(text: object, width: int = 10_000) -> str:
    """One printable line: no control character, no half of a surrogate pair, cut at ``width``."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(str(text).split()))
    return line if len(line) <= width else line[: width - 1] + "…"


def short(value: float) -> str:
    """Three figures, without an exponent where that can be read."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def asked(figure: dict[str, Any]) -> tuple[str, float] | None:
    """Sign and value of what a figure was asked to reach, ">= 3" or "<= 1 %"; None of any other wording."""
    match = _ASKED.fullmatch(figure["asked"])
    if match and match[3] in ("", figure["unit"]):
        return match[1], float(match[2])
    return None


def value_of(part: Any) -> float:
    """The value of a summary's entry, with an interval or without."""
    return float(part["value"] if isinstance(part, dict) else part)
