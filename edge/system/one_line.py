"""Text of which no part ends a line."""

from __future__ import annotations

import re

# And what turns the direction of the text after it, so that a line shows what it says (Unicode Annex 9).
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def one_line(text: str) -> str:
    """``text`` with control characters as ``\\n`` or ``\\x1b``: a name then ends no line, and turns none."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
