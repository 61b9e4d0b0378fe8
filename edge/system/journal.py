"""Log configuration: plain text on a terminal; priorities and rate limiting in the systemd journal."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from edge.system.one_line import one_line

TIMES = 5  # lines per message and window
WINDOW_S = 60.0
_MAX_COUNTED = 256  # messages counted at the same time; others pass uncounted

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler  # takes no type before Python 3.11


def configure(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send the log to ``stream`` (default: stderr), in the journal's format if the journal reads it."""
    stream = stream or sys.stderr
    handler: logging.Handler
    if to_journal(stream):
        handler = JournalHandler(stream)
    else:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(OneLine("emotion-edge: %(levelname)s: %(message)s"))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)


class OneLine(logging.Formatter):
    """Keeps a message on its line, without controls: it may quote a name or a library's words."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The message without a traceback, which has lines of its own."""
        return one_line(super().formatMessage(record))


def to_journal(stream: TextIO) -> bool:
    """Whether the journal reads ``stream``: $JOURNAL_STREAM is its device and inode, see systemd.exec(5)."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or not a real file
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def prefix(level: int) -> str:
    """The syslog priority of a logging level in the format of sd-daemon(3): "<3>" for ERROR."""
    if level >= logging.CRITICAL:
        return "<2>"
    if level >= logging.ERROR:
        return "<3>"
    if level >= logging.WARNING:
        return "<4>"
    return "<6>" if level >= logging.INFO else "<7>"


@dataclass
class _Count:
    """How often one message occurred in its window."""

    since_s: float
    level: int
    template: str
    seen: int = 0


class JournalHandler(_StreamHandler):
    """Prefixes each line with its priority; at most ``times`` lines per message template in ``window_s`` s.

    After the window, one line reports how many were suppressed, with the next record or at the end.
    """

    def __init__(
        self,
        stream: TextIO,
        times: int = TIMES,
        window_s: float = WINDOW_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(stream)
        self.setFormatter(OneLine())
        self._times, self._window_s, self._clock = times, window_s, clock
        self._counts: dict[tuple[str, int, str], _Count] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record`` unless its message has occurred too often."""
        now = self._clock()
        self._summarize(now - self._window_s)
        if self._allowed(record, now):
            super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        """The text with a priority before each line, because the journal treats each line as an entry."""
        priority = prefix(record.levelno)
        return "\n".join(priority + line for line in super().format(record).splitlines() or [""])

    def close(self) -> None:
        """Report what is still suppressed."""
        self._summarize(float("inf"))
        super().close()

    def _allowed(self, record: logging.LogRecord, now: float) -> bool:
        template = str(record.msg)
        key = (record.name, record.levelno, template)
        if key not in self._counts:
            if len(self._counts) >= _MAX_COUNTED:
                return True
            self._counts[key] = _Count(now, record.levelno, template)
        count = self._counts[key]
        count.seen += 1
        return count.seen <= self._times

    def _summarize(self, until_s: float) -> None:
        """End the windows that started before ``until_s``."""
        ended = [key for key, count in self._counts.items() if count.since_s <= until_s]
        for key in ended:
            count = self._counts.pop(key)
            if (suppressed := count.seen - self._times) > 0:
                text = f"{count.template} ... suppressed {suppressed} times"
                super().emit(logging.LogRecord("edge", count.level, "", 0, text, None, None))
