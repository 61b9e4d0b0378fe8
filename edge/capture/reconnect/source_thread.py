"""One attempt to open and read a live source, which can be abandoned even if its library hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import inf
from typing import Protocol, runtime_checkable

from edge.capture.reconnect.latest_frame import Reader, Slot
from edge.capture.reconnect.timeouts import Timeouts
from edge.data import Frame
from edge.protocols import Source

_STEP_S = 0.5  # wait between two calls of ``idle``

Opener = Callable[[], Source]
_Done = Callable[[float], bool]  # waits up to this many seconds; returns whether it is done


@runtime_checkable
class Apart(Protocol):
    """What a source that another process reads has beyond Source."""

    opened_s: float  # monotonic, when that process reported the camera open; inf before
    dropped: int  # frames replaced by a newer one in that process

    def kill(self, idle: Callable[[], None]) -> None:
        """End that process; RestartNeeded if it cannot be ended."""
        ...


class Attempt:
    """One attempt to open and read the source, on its own thread."""

    def __init__(self, opener: Opener, slot: Slot, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._source: Source | None = None
        self._apart: Apart | None = None  # the same object if another process reads it
        self._opened_s = inf
        self._opener = opener
        self._given_up = False
        self.reader = Reader(self._frames(), slot)

    def _frames(self) -> Iterator[Frame]:
        with self._opener() as source:
            self._apart = source if isinstance(source, Apart) else None
            self._opened_s, self._source = time.monotonic(), source
            if not self._given_up:  # otherwise it opened too late
                yield from source.frames()

    @property
    def dropped(self) -> int:
        """Frames replaced by a newer one in the other process."""
        return self._apart.dropped if self._apart is not None else 0

    def deadline(self, since_s: float) -> float:
        """When to give up a wait that started at ``since_s``; opening may take longer than the next frame."""
        limits = self._timeouts
        opened_s, opening_s = self._opened_s, limits.opening_s
        if self._apart is not None:
            opened_s, opening_s = self._apart.opened_s, limits.opening_s + limits.starting_s
        if opened_s == inf:
            return since_s + max(limits.stall_s, opening_s)
        return max(since_s, opened_s) + limits.stall_s

    def end(self, idle: Callable[[], None], closing_s: float | None = None) -> bool:
        """Close the source and end its thread; False if that thread or the closing one hangs."""
        self._given_up = True
        grace_s = self._timeouts.grace_s
        closing_s = self._timeouts.closing_s if closing_s is None else closing_s
        source = self._source  # read once, since the other thread may set it at any time
        closed: _Done = _already_done
        if source is not None and self._apart is not None:
            self._apart.kill(idle)
        elif source is not None and not self.reader.ended:
            # Closing interrupts a read if the library can; closing itself may hang, too.
            closed = _start_closing(source)
            in_time(closed, grace_s, idle)
        return in_time(self.reader.stop, grace_s, idle) and in_time(closed, closing_s, idle)


def in_time(done: _Done, patience_s: float, idle: Callable[[], None]) -> bool:
    """Whether ``done`` becomes true within ``patience_s`` seconds; ``idle`` is called meanwhile."""
    end = time.monotonic() + patience_s
    while not done(min(max(end - time.monotonic(), 0.0), _STEP_S)):
        if time.monotonic() >= end:
            return False
        idle()
    return True


def _already_done(_: float) -> bool:
    return True


def _start_closing(source: Source) -> _Done:
    """Close ``source`` on another thread; the returned function waits and reports whether it is closed."""
    closer = threading.Thread(target=_close, args=(source,), name="closing", daemon=True)
    closer.start()

    def closed(wait_s: float) -> bool:
        closer.join(wait_s)
        return not closer.is_alive()

    return closed


def _close(source: Source) -> None:
    with suppress(Exception):  # the source is abandoned either way
        source.__exit__(None, None, None)
