"""Values as they are written in a TOML file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any


def value(given: Any, shown: Callable[[str], str] = str) -> str:
    """One value of the settings; ``shown`` is what is written for a text, such as one without a password."""
    if isinstance(given, Mapping):
        return f"{{{', '.join(f'{key(name)} = {value(inner, shown)}' for name, inner in given.items())}}}"
    if isinstance(given, list | tuple):
        return f"[{', '.join(value(inner, shown) for inner in given)}]"
    if isinstance(given, str):
        return _quoted(shown(given))
    return str(given).lower() if isinstance(given, bool) else str(given)  # a number, or a date


def key(name: str) -> str:
    """A key, in quotes where it needs them."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _quoted(text: str) -> str:
    """A basic string of TOML; what is not printable is escaped, so that no terminal obeys it.

    Bytes of a name that are no UTF-8 have no place in TOML: they are shown as ``\\xe9``.
    """
    text = os.fsencode(text).decode("utf-8", "backslashreplace")
    return f'"{"".join(char if _is_plain(char) else _escaped(char) for char in text)}"'


def _is_plain(char: str) -> bool:
    return char.isprintable() and char not in '"\\'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    number = ord(char)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
