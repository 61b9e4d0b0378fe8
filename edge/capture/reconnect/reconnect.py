"""A camera that dies is brought back: reopened, read by a process of its own, or by a fresh start of it all.

The rungs, each tried where the one before did not help, each counted and logged once per outage:
reopen with back-off; abandon a thread that hangs in its library and read in a child process, which can be
killed; exit with 75, so that the supervisor starts everything anew; ask for a reboot where that is allowed.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType

from edge.capture.reconnect.frame_checks import BadFrames
from edge.capture.reconnect.latest_frame import Slot
from edge.capture.reconnect.source_thread import Attempt, Opener
from edge.data import Frame
from edge.errors import EdgeError, RestartNeeded

log = logging.getLogger("edge")
BAD_S = 10.0  # of nothing but broken frames: opening the camera again may mend them
MOST_BAD_S = 300.0  # a still scene that is well coded repeats bit by bit, and no opening changes that
DARK = ("black", "blank")  # a covered lens or a dark room, which no opening mends
HELD_S = 20.0  # a child that gets no frame for so long: the abandoned thread holds the camera
FIRST_WAIT_S = 0.1


class Recovering:
    """The newest frames of a live source, good ones only, for as long as the camera can be had back.

    ``here`` opens the source in this process, ``apart`` in a child process (or is None: no such rung).
    ``idle`` is called at least every second while there is no frame. With ``patient`` False, a source
    that fails before its first frame is a fault of the user and raised. Raises RestartNeeded where a
    thread or process that cannot be ended keeps the camera.
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
        self._slot, self._checks, self._unusable = Slot(), BadFrames(), _Unusable()
        self._attempt: Attempt | None = None
        self._in_child = False
        self._failures = 0  # attempts since the last good frame
        self._told: set[bool] = set()  # whose fault was logged in this outage: the child's, or our own
        self._silent_s: float | None = None  # monotonic, since when no frame comes at all
        self._last_s: float | None = None  # monotonic, when the last good frame came
        self._next_index = 0
        self._dropped_before = 0  # by earlier attempts
        self._closing = False
        self.frame_count: int | None = None

    def leave(self) -> None:
        """End the loop over the frames; from ``idle``, for one."""
        self._closing = True

    @property
    def dropped(self) -> int:
        """Frames that nobody took before a newer one came, here or in the child process."""
        now = self._attempt.dropped if self._attempt is not None else 0
        return self._slot.dropped + self._dropped_before + now

    def __enter__(self) -> Recovering:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        if self._attempt is None:
            return
        try:
            # No beats, what they move is closed already; and whoever is told to stop has little time.
            self._attempt.end(lambda: None, closing_s=0.0)
        except RestartNeeded:
            if error is None:  # what ends the loop, a signal for one, is the better reason
                raise

    def __iter__(self) -> Iterator[Frame]:
        self._attempt = Attempt(self._here, self._slot)
        since_s = time.monotonic()
        while not self._closing:
            deadline = self._attempt.deadline(since_s, self._stall_s)
            frame = self._slot.take(self._attempt.reader, min(max(deadline - time.monotonic(), 0.0), 1.0))
            now = time.monotonic()
            if frame is None:
                self._idle()
                if self._attempt.reader.ended or now >= self._attempt.deadline(since_s, self._stall_s):
                    self._recover(f"none came for {now - since_s:.1f} s")
                    since_s = time.monotonic()
                continue
            self._silent_s = None
            if (fault := self._checks.fault(frame)) is None:
                yield self._numbered(frame, now)
                self._unusable.good(time.monotonic())
            else:
                self._refuse(fault, now)
            since_s = time.monotonic()

    def _numbered(self, frame: Frame, now: float) -> Frame:
        """The frame with an index that goes on rising over all openings; notes the end of an outage."""
        if self._failures and self._last_s is not None:
            self.outages.append(now - self._last_s)
            log.warning("frames are back after %.1f s (attempt %d)", now - self._last_s, self._failures)
        self._failures, self._last_s = 0, now
        self._told.clear()
        self._next_index += 1
        return replace(frame, index=self._next_index - 1)

    def _refuse(self, fault: str, now: float) -> None:
        self.bad[fault] += 1
        self._idle()
        if (bad_s := self._unusable.due(fault, now)) is not None:
            self._recover(f"only {fault} frames for {bad_s:.0f} s")

    def _recover(self, reason: str) -> None:
        attempt = self._attempt
        assert attempt is not None
        error = attempt.reader.error
        if error is not None and (
            not isinstance(error, Exception) or (self._last_s is None and not self._patient)
        ):
            raise error
        reason = _words(error) or reason
        self._failures += 1
        self.rungs["reopened"] += 1
        self._tell(reason)
        self._climb(not attempt.end(self._idle), reason)
        self._wait()
        if self._closing:
            return
        self._dropped_before += attempt.dropped
        opener = self._apart if self._in_child and self._apart else self._here
        self._attempt = Attempt(opener, self._slot)
        self._unusable.opened()

    def _tell(self, reason: str) -> None:
        """Log the fault once per outage; that of the child as well, because it may be another one."""
        if self._in_child not in self._told:
            self._told.add(self._in_child)
            log.warning("no frame%s: %s; reopening", " in the child process" * self._in_child, reason)

    def _climb(self, hangs: bool, reason: str) -> None:
        """Go on to the next rung where this one is of no use."""
        now = time.monotonic()
        self._silent_s = now if self._silent_s is None else self._silent_s
        if hangs and not self._in_child:
            self._leave_thread()
            self._silent_s = now
        elif self._in_child and now - self._silent_s >= HELD_S:
            # The device is freed with the process whose thread hangs in it, and not before.
            raise RestartNeeded(
                f"no frame in the child process for {HELD_S:g} s ({reason}): the thread that hangs keeps "
                "the camera, which only a fresh start frees"
            )

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


class _Unusable:
    """Since when a camera gives nothing but bad frames, and when it is worth opening again for that."""

    def __init__(self) -> None:
        self._bad_from_s: float | None = None  # the first bad frame after a good one or an opening
        self._good_from_s: float | None = None  # the first good one after a bad one or an opening
        self._patience_s = BAD_S

    def opened(self) -> None:
        """What a new opening gives is judged for itself."""
        self._bad_from_s = self._good_from_s = None

    def good(self, now: float) -> None:
        """A good frame. Some come after every opening: only a long row of them means a mended camera."""
        self._bad_from_s = None
        if self._good_from_s is None:
            self._good_from_s = now
        if now - self._good_from_s >= BAD_S:
            self._patience_s = BAD_S

    def due(self, fault: str, now: float) -> float | None:
        """Seconds of bad frames where they are reason enough to open the camera again, else None."""
        self._good_from_s = None
        if self._bad_from_s is None:
            self._bad_from_s = now
        bad_s = now - self._bad_from_s
        if fault in DARK or bad_s < (self._patience_s if fault == "frozen" else BAD_S):
            return None
        if fault == "frozen":
            self._patience_s = min(2 * self._patience_s, MOST_BAD_S)
        return bad_s


def _words(error: BaseException | None) -> str:
    """What is wrong, with the class of an error that is not our own."""
    if error is None or isinstance(error, EdgeError):
        return str(error or "")
    return f"{type(error).__name__}: {error}"
