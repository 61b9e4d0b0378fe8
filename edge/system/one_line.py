"""Text of which no part ends a line."""

from __future__ import annotations

from unicodedata import category

# What shows nothing: it ends a line, or turns the direction of the text after it (Unicode Annex 9).
HIDDEN = ("Cc", "Cf", "Zl", "Zp")
JOINERS = "\u200c\u200d"  # of words in Persian and of emoji


def one_line(text: str) -> str:
    """``text`` with hidden characters as ``\\n`` or ``\\x1b``: a name then ends no line, and turns none."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(sign: str) -> str:
    if category(sign) in HIDDEN and sign not in JOINERS:
        return sign.encode("unicode_escape").decode("ascii")
    return sign
