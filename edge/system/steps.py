"""The steps of a long command on stderr: each is named as it begins, and nothing is silent for long."""

from __future__ import annotations

import sys
import threading
from time import monotonic

from edge.system.closing import Closing
from edge.system.progress import Bar

_SILENT_S = 4.0


class Steps(Closing):
    """Names each step; then a bar on a terminal, or a line every four seconds where there is none.

    Within its ``with`` block a thread of its own speaks for work that cannot tell how far it is, such as an
    export by PyTorch.
    """

    def __init__(self, command: str, silent_s: float = _SILENT_S) -> None:
        self._command, self._silent_s = command, silent_s
        self._lock, self._end = threading.Lock(), threading.Event()
        self._what, self._total, self._done = "", 0, 0
        self._bar: Bar | None = None
        self._began = self._told = monotonic()
        self._thread = threading.Thread(target=self._speak, name="steps", daemon=True)

    def __enter__(self) -> Steps:
        self._thread.start()
        return self

    def begin(self, what: str, total: int = 0) -> None:
        """The next step; ``total`` is how often ``add`` will count one, where that is known."""
        with self._lock:
            self._close_bar()
            self._what, self._total, self._done = what, total, 0
            self._began = monotonic()
            self._tell(what)
            if total and sys.stderr.isatty():
                self._bar = Bar(total, "done")

    def add(self, done: int = 1) -> None:
        """So much more of the step's total is done."""
        with self._lock:
            self._done += done
            if self._bar is not None:
                self._bar.at(min(self._done, self._total))

    def say(self, text: str) -> None:
        """A line of its own; nothing if it is empty."""
        if text:
            with self._lock:
                self._close_bar()
                self._tell(text)

    def close(self) -> None:
        """End the bar and the thread."""
        self._end.set()
        self._thread.join()
        with self._lock:
            self._close_bar()

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _tell(self, text: str) -> None:
        print(f"{self._command}: {text}", file=sys.stderr, flush=True)
        self._told = monotonic()

    def _speak(self) -> None:
        while not self._end.wait(self._silent_s / 8):
            with self._lock:
                if self._what and self._bar is None and monotonic() - self._told >= self._silent_s:
                    share = f"{min(self._done / self._total, 1):.0%}, " if self._total else ""
                    self._tell(f"  {self._what}: {share}{monotonic() - self._began:.0f} s")
