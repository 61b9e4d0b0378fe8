"""How far the build of an engine is: from TensorRT's phases to whoever asks, also in another process.

Who builds holds the lock of the engines' folder, and writes into the lock's file how far it is. A process
that is killed loses the lock, and what it wrote counts no longer.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge.system.checked_file import FileRefused
from edge.system.ownership import open_own

LOCK = "lock"


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Phases:
    """Percent of a build, from the calls of TensorRT's ``IProgressMonitor``, which come from several threads.

    A phase has steps, and may run inside a step of its parent. ``say`` gets a line "42 Building engine" with
    the name of an outermost phase for each new percent: of the steps, since TensorRT tells no times.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._phases: dict[str, _Phase] = {}
        self._told: dict[str, int] = {}  # of each outermost phase, in percent
        self._one = threading.Lock()

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase of so many ``steps`` begins; without a ``parent`` it is an outermost one."""
        with self._one:
            if parent is None:
                self._told.pop(name, None)
            self._phases[name] = _Phase(parent, max(steps, 1))
            self._tell(name)

    def step(self, name: str, step: int) -> None:
        """A phase has ended its step of this number, counted from zero."""
        with self._one:
            if phase := self._phases.get(name):
                phase.done = max(phase.done, step + 1)
                self._tell(name)

    def finish(self, name: str) -> None:
        """A phase has ended, maybe without all of its steps."""
        with self._one:
            if phase := self._phases.get(name):
                phase.done = phase.steps
                self._tell(name)
                del self._phases[name]

    def _tell(self, name: str) -> None:
        """Say how far the outermost phase above ``name`` is, if that is news."""
        seen: set[str] = set()
        while (phase := self._phases.get(name)) and phase.parent is not None and name not in seen:
            seen.add(name)
            name = phase.parent
        if phase is None or phase.parent is not None:
            return
        percent = int(100 * self._share(name, frozenset()))
        if percent > self._told.get(name, -1):
            self._told[name] = percent
            self._say(f"{percent} {name}")

    def _share(self, name: str, above: frozenset[str]) -> float:
        """How much of a phase is done, 0..1, with the step that it is in."""
        phase, above = self._phases[name], above | {name}
        inside = [
            self._share(other, above)
            for other, one in self._phases.items()
            if one.parent == name and other not in above
        ]
        return min(1.0, (phase.done + max(inside, default=0.0)) / phase.steps)


@dataclass(frozen=True)
class Progress:
    """How far the build of one engine is."""

    precision: str
    percent: int


def write(lock: int, precision: str, line: str) -> None:
    """Note a builder's ``line`` in the file of the lock that this process holds; others are no progress."""
    percent = line.partition(" ")[0]
    if percent.isdecimal():
        with suppress(OSError):  # on a full disk the build itself says so
            os.pwrite(lock, f"{int(percent):3} {precision:<16}\n".encode(), 0)


def read(folder: Path) -> Progress | None:
    """What is being built into ``folder`` now, by whatever process of this user; None if nothing is."""
    try:
        with open_own(folder / LOCK) as file:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None  # nobody holds it
            found = re.fullmatch(rb" *(\d{1,3}) ([a-z0-9-]{1,16}) *\n", file.read(64))
    except (OSError, FileRefused):
        return None
    return Progress(found[2].decode(), min(int(found[1]), 100)) if found else None
