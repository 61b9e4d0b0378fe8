"""One opening of a live source, which can be given up whatever its library does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import inf
from typing import Protocol, runtime_checkable

from edge.capture.reconnect.latest_frame import Reader, Slot
from edge.data import Frame
from edge.protocols import Source

OPENING_S = 10.0  # connecting to a network camera takes its time, and cannot be interrupted
STARTING_S = 5.0  # for another process to start and import, on a small board under load, before it opens
GRACE_S = 0.8  # for a library call to return after the source was told to close
CLOSING_S = 3.0  # for a close that goes on although nobody reads any more: that of a slow driver ends
_STEP_S = 0.5  # of a wait, between two beats

Opener = Callable[[], Source]
_Done = Callable[[float], bool]  # waits for so many seconds at most; whether it is done


@runtime_checkable
class Apart(Protocol):
    """What a source has beyond Source if another process reads it."""

    opened_s: float  # monotonic, when that process said that it has the camera; inf before
    dropped: int  # frames that a newer one replaced over there

    def kill(self, idle: Callable[[], None]) -> None:
        """End that process; RestartNeeded where it cannot be ended."""
        ...


class Attempt:
    """One opening of the source, on a thread of its own."""

    def __init__(self, opener: Opener, slot: Slot) -> None:
        self._source: Source | None = None
        self._apart: Apart | None = None  # the same, where another process reads it
        self._opened_s = inf
        self._opener = opener
        self._given_up = False
        self.reader = Reader(self._frames(), slot)

    def _frames(self) -> Iterator[Frame]:
        with self._opener() as source:
            self._apart = source if isinstance(source, Apart) else None
            self._opened_s, self._source = time.monotonic(), source
            if not self._given_up:  # else it opened long after anybody waited for it
                yield from source.frames()

    @property
    def dropped(self) -> int:
        """Frames that were replaced by newer ones before they came here."""
        return self._apart.dropped if self._apart is not None else 0

    def deadline(self, since_s: float, stall_s: float) -> float:
        """When a wait that began at ``since_s`` is over; opening takes longer than the next frame."""
        opened_s, opening_s = self._opened_s, OPENING_S
        if self._apart is not None:
            opened_s, opening_s = self._apart.opened_s, OPENING_S + STARTING_S
        if opened_s == inf:
            return since_s + max(stall_s, opening_s)
        return max(since_s, opened_s) + stall_s

    def end(self, idle: Callable[[], None], closing_s: float = CLOSING_S) -> bool:
        """Close the source and end its thread; False where a thread hangs, be it the one that closes."""
        self._given_up = True
        source = self._source  # read once: it may come at any time
        closed: _Done = _at_once
        if source is not None and self._apart is not None:
            self._apart.kill(idle)
        elif source is not None and not self.reader.ended:
            # Closing wakes a read that can be woken; a library may hang in that, too.
            closed = _closing(source)
            in_time(closed, GRACE_S, idle)
        return in_time(self.reader.stop, GRACE_S, idle) and in_time(closed, closing_s, idle)


def in_time(done: _Done, patience_s: float, idle: Callable[[], None]) -> bool:
    """Whether ``done`` comes true in time; ``idle`` is told meanwhile."""
    end = time.monotonic() + patience_s
    while not done(min(max(end - time.monotonic(), 0.0), _STEP_S)):
        if time.monotonic() >= end:
            return False
        idle()
    return True


def _at_once(_: float) -> bool:
    return True


def _closing(source: Source) -> _Done:
    """Close ``source`` on a thread; the answer waits for it and tells whether it is done."""
    closer = threading.Thread(target=_close, args=(source,), name="closing", daemon=True)
    closer.start()

    def closed(wait_s: float) -> bool:
        closer.join(wait_s)
        return not closer.is_alive()

    return closed


def _close(source: Source) -> None:
    with suppress(Exception):  # the source is given up either way
        source.__exit__(None, None, None)
