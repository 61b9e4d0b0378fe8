"""Where log lines go: plain text on a terminal; priorities and a limit on repetition in the journal."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

TIMES = 5  # lines of one message in one window
WINDOW_S = 60.0
_KEPT = 256  # messages counted at once; more are let through uncounted

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler  # takes no type before Python 3.11


def configure(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send the log to ``stream`` (stderr), as the journal wants it where the journal reads it."""
    stream = stream or sys.stderr
    handler: logging.Handler
    if to_journal(stream):
        handler = JournalHandler(stream)
    else:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("emotion-edge: %(levelname)s: %(message)s"))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)


def to_journal(stream: TextIO) -> bool:
    """Whether the journal reads ``stream``: $JOURNAL_STREAM is its device and inode, see systemd.exec(5)."""
    try:
        about = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or not a file at all
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{about.st_dev}:{about.st_ino}"


def prefix(level: int) -> str:
    """The syslog priority of a logging level as sd-daemon(3) writes it: "<3>" for ERROR."""
    if level >= logging.CRITICAL:
        return "<2>"
    if level >= logging.ERROR:
        return "<3>"
    if level >= logging.WARNING:
        return "<4>"
    return "<6>" if level >= logging.INFO else "<7>"


@dataclass
class _Count:
    """How often one message came in its window."""

    since_s: float
    level: int
    template: str
    seen: int = 0


class JournalHandler(_StreamHandler):
    """One priority per line; of one message template at most ``times`` lines in ``window_s`` seconds.

    What was held back is told in one line when the window is over, with the next record or at the end.
    """

    def __init__(
        self,
        stream: TextIO,
        times: int = TIMES,
        window_s: float = WINDOW_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(stream)
        self._times, self._window_s, self._clock = times, window_s, clock
        self._counts: dict[tuple[str, int, str], _Count] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record`` unless its message came too often."""
        now = self._clock()
        self._summarize(now - self._window_s)
        if self._allowed(record, now):
            super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        """The text with a priority before each line, because the journal takes each for an entry."""
        mark = prefix(record.levelno)
        return "\n".join(mark + line for line in super().format(record).splitlines() or [""])

    def close(self) -> None:
        """Tell what is still held back."""
        self._summarize(float("inf"))
        super().close()

    def _allowed(self, record: logging.LogRecord, now: float) -> bool:
        template = str(record.msg)
        key = (record.name, record.levelno, template)
        if key not in self._counts:
            if len(self._counts) >= _KEPT:
                return True
            self._counts[key] = _Count(now, record.levelno, template)
        count = self._counts[key]
        count.seen += 1
        return count.seen <= self._times

    def _summarize(self, until_s: float) -> None:
        """End the windows that began before ``until_s``."""
        over = [key for key, count in self._counts.items() if count.since_s <= until_s]
        for key in over:
            count = self._counts.pop(key)
            if (held := count.seen - self._times) > 0:
                text = f"{count.template} ... suppressed {held} times"
                super().emit(logging.LogRecord("edge", count.level, "", 0, text, None, None))
