"""Texts of a tree or a root file system that is only looked at."""

from __future__ import annotations

from pathlib import Path

from edge.system.checked_file import FileRefused, read_checked

_MOST_BYTES = 64 << 20


def text(path: Path, follow: bool = False) -> str:
    """A regular file's text, "" if it cannot be read.

    ``follow`` allows a link, as the vendor's tree has them. In a root it could lead to this machine.
    """
    try:
        return read_checked(path, _MOST_BYTES, follow).decode("utf-8", "replace")
    except FileRefused:
        return ""
