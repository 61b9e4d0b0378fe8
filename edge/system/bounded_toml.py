"""TOML (1.0) within bounds that no settings need: tomllib takes time and memory by the square of some."""

from __future__ import annotations

import re
import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEPTH = 32
_MOST_INTEGER = 1 << 63  # TOML asks for 64 bits
# Dotted keys, a.b.c: 100,000 parts take minutes and gigabytes. A part is a word or a text in quotes.
_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = re.compile(rf"(?<![\w.-]){_PART}(?:[ \t]*\.[ \t]*{_PART}){{{2 * DEPTH}}}")


def loads(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises ValueError, in one line, also for what is nested deeper than DEPTH, and for a whole number of more
    than 64 bits.
    """
    if _DOTTED.search(text):
        raise ValueError(f"a key or text has more than {2 * DEPTH} parts with dots between")
    try:
        tables = tomllib.loads(text.replace("\r\n", "\n"))
    except RecursionError:
        raise ValueError(f"it is nested deeper than {DEPTH} levels") from None
    _check(tables)
    return tables


def _check(tables: dict[str, Any]) -> None:
    level: list[Any] = [tables]
    for _ in range(DEPTH):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, int) and not -_MOST_INTEGER <= item < _MOST_INTEGER:
                raise ValueError("a whole number has more than 64 bits")
            inner += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        if not inner:
            return
        level = inner
    raise ValueError(f"it is nested deeper than {DEPTH} levels")
