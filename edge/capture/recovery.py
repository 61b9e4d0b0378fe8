"""A camera that dies is brought back: reopened, read by a process of its own, or by a fresh start of it all.

The rungs, each tried where the one before did not help, each counted and logged once per outage:
reopen with back-off; abandon a thread that hangs in its library and read in a child process, which can be
killed; exit with 75, so that the supervisor starts everything anew; ask for a reboot where that is allowed.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from math import inf
from types import TracebackType

from edge.capture.bad_frames import BadFrames
from edge.capture.slot import Reader, Slot
from edge.data import Frame
from edge.errors import EdgeError, RestartNeeded
from edge.protocols import Source

log = logging.getLogger("edge")
OPENING_S = 10.0  # connecting to a network camera takes its time, and cannot be interrupted
BAD_S = 10.0  # of nothing but broken frames: opening the camera again may mend them
DARK = ("black", "blank")  # a covered lens or a dark room, which no opening mends
GRACE_S = 0.8  # for a library call to return after the source was told to close
FIRST_WAIT_S = 0.1


Opener = Callable[[], Source]


class Recovering:
    """The newest frames of a live source, good ones only, for as long as the camera can be had back.

    ``here`` opens the source in this process, ``apart`` in a child process (or is None: no such rung).
    ``idle`` is called at least every second while there is no frame. With ``patient`` False, a source
    that fails before its first frame is a fault of the user and raised.
    """

    def __init__(
        self,
        here: Opener,
        apart: Opener | None,
        stall_s: float = 2.0,
        longest_wait_s: float = 2.0,
        patient: bool = False,
        idle: Callable[[], None] = lambda: None,
        seed: int | None = None,
    ) -> None:
        self.rungs: Counter[str] = Counter()  # how often each rung was used
        self.bad: Counter[str] = Counter()  # frames refused, by fault
        self.outages: deque[float] = deque(maxlen=100)  # seconds from the last frame to the next, the newest
        self._here, self._apart = here, apart
        self._stall_s, self._longest_wait_s, self._patient = stall_s, longest_wait_s, patient
        self._idle, self._random = idle, random.Random(seed)
        self._slot, self._checks = Slot(), BadFrames()
        self._attempt: _Attempt | None = None
        self._in_child = False
        self._failures = 0  # attempts since the last frame
        self._last_s: float | None = None  # monotonic, when the last frame came
        self._next_index = 0
        self._closing = False
        self.frame_count: int | None = None

    def leave(self) -> None:
        """End the loop over the frames; from ``idle``, for one."""
        self._closing = True

    @property
    def dropped(self) -> int:
        """Frames that nobody took before a newer one came."""
        return self._slot.dropped

    def __enter__(self) -> Recovering:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        if self._attempt is not None:
            self._attempt.end()

    def __iter__(self) -> Iterator[Frame]:
        self._attempt = _Attempt(self._here, self._slot)
        waiting_since = good_s = time.monotonic()
        while not self._closing:
            deadline = self._attempt.deadline(waiting_since, self._stall_s)
            left = min(max(deadline - time.monotonic(), 0.0), 1.0)
            frame = self._slot.take(self._attempt.reader, left)
            now = time.monotonic()
            if frame is not None:
                waiting_since = now
                if (fault := self._checks.fault(frame)) is None:
                    yield self._numbered(frame, now)
                    waiting_since = good_s = time.monotonic()
                    continue
                self.bad[fault] += 1
                self._idle()
                if fault not in DARK and now - good_s >= BAD_S:
                    self._recover(f"only {fault} frames for {BAD_S:g} s")
                    waiting_since = good_s = time.monotonic()
                continue
            self._idle()
            if self._attempt.reader.ended or now >= self._attempt.deadline(waiting_since, self._stall_s):
                self._recover(f"none came for {self._stall_s:g} s")
                waiting_since = time.monotonic()

    def _numbered(self, frame: Frame, now: float) -> Frame:
        """The frame with an index that goes on rising over all openings; notes the end of an outage."""
        if self._failures and self._last_s is not None:
            self.outages.append(now - self._last_s)
            log.warning("frames are back after %.1f s (attempt %d)", now - self._last_s, self._failures)
        self._failures, self._last_s = 0, now
        self._next_index += 1
        return replace(frame, index=self._next_index - 1)

    def _recover(self, reason: str) -> None:
        attempt = self._attempt
        assert attempt is not None
        error = attempt.reader.error
        if error is not None and (
            not isinstance(error, Exception) or (self._last_s is None and not self._patient)
        ):
            raise error
        self._failures += 1
        if self._failures == 1:
            log.warning("no frame: %s; reopening", _told(error) or reason)
        self.rungs["reopened"] += 1
        if not attempt.end() and not self._in_child:
            self._leave_thread()
        self._wait()
        opener = self._apart if self._in_child and self._apart else self._here
        self._attempt = _Attempt(opener, self._slot)

    def _leave_thread(self) -> None:
        """The library hangs: its thread cannot be ended, and no second one may join it."""
        self.rungs["threads abandoned"] += 1
        if self._apart is None:
            raise RestartNeeded("the camera's library hangs and no child process may take its place")
        log.error("the camera's library hangs; its thread is abandoned, a child process reads from now on")
        self.rungs["child processes"] += 1
        self._in_child = True

    def _wait(self) -> None:
        """Back-off with jitter: several machines that lose one server do not come back in step."""
        wait = min(FIRST_WAIT_S * 2 ** (self._failures - 1), self._longest_wait_s)
        end = time.monotonic() + wait * self._random.uniform(0.5, 1.0)
        while (left := end - time.monotonic()) > 0 and not self._closing:
            time.sleep(min(left, 0.5))
            self._idle()


class _Attempt:
    """One opening of the source, on a thread of its own."""

    def __init__(self, opener: Opener, slot: Slot) -> None:
        self._source: Source | None = None
        self._opened_s = inf
        self._opener = opener
        self.reader = Reader(self._frames(), slot)

    def _frames(self) -> Iterator[Frame]:
        with self._opener() as source:
            self._source, self._opened_s = source, time.monotonic()
            yield from source.frames()

    def deadline(self, since_s: float, stall_s: float) -> float:
        """When a wait that began at ``since_s`` is over; opening takes longer than the next frame."""
        if self._opened_s == inf:
            return since_s + max(stall_s, OPENING_S)
        return max(since_s, self._opened_s) + stall_s

    def end(self) -> bool:
        """Close the source and end its thread; False where the thread hangs."""
        source = self._source
        if source is not None and hasattr(source, "kill"):
            source.kill()
        elif source is not None and not self.reader.ended:
            # Closing wakes a read that can be woken; a library may hang in that, too.
            closer = threading.Thread(target=_close, args=(source,), name="closing", daemon=True)
            closer.start()
            closer.join(GRACE_S)
        return self.reader.stop(GRACE_S)


def _told(error: BaseException | None) -> str:
    """What is wrong, with the class of an error that is not our own."""
    if error is None or isinstance(error, EdgeError):
        return str(error or "")
    return f"{type(error).__name__}: {error}"


def _close(source: Source) -> None:
    with suppress(Exception):  # the source is given up either way
        source.__exit__(None, None, None)
