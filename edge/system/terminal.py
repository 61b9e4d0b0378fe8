"""Lines that are drawn again and again in one place of a terminal, which is as before afterwards."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

from edge.system.closing import Closing

# ANSI (ECMA-48) and xterm's other screen, which every terminal program has; the console of Linux ignores it.
_OPEN = "\x1b[?1049h\x1b[?25l"  # the other screen, no cursor
_CLOSE = "\x1b[H\x1b[J\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_REST = "\x1b[H", "\x1b[2K", "\x1b[J"
USUAL = (80, 24)  # columns and rows where a terminal does not tell


def can_redraw(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb")


class Screen(Closing):
    """Draws on ``stream`` from the first ``draw`` on; closing it brings back what was there."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._open = stream, False

    def size(self) -> tuple[int, int]:
        """Columns and rows as they are now, at least one each: windows change."""
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return USUAL
        return size.columns or USUAL[0], size.lines or USUAL[1]

    def draw(self, lines: Sequence[str]) -> None:
        """Show ``lines`` in place of the ones before. What does not fit is cut off."""
        columns, rows = self.size()
        # A line is cleared before it is written: after its last column, some terminals would clear that one.
        text = "\r\n".join(_CLEAR_LINE + fit(line, columns) for line in lines[:rows])
        opening = "" if self._open else _OPEN
        self._open = True
        self._stream.write(opening + _HOME + text + ("\r\n" + _CLEAR_REST if len(lines) < rows else ""))
        self._stream.flush()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._open:
            self._open = False
            with suppress(OSError, ValueError):  # it was closed, as when ssh ends
                self._stream.write(_CLOSE)
                self._stream.flush()


def fit(text: str, columns: int) -> str:
    """``text`` in at most ``columns`` of ASCII, where each sign takes one; others as ``\\xe9``."""
    plain = text if text.isascii() and text.isprintable() else _plain(text)
    return plain if len(plain) <= columns else plain[: max(columns - 3, 0)] + "..."[:columns]


def _plain(text: str) -> str:
    return "".join(
        sign if sign.isascii() and sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )
