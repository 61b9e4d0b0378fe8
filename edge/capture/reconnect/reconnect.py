"""Recovers a failed camera: reopens it, reads it in a child process, or requests a restart.

Each step is taken if the previous one did not help, and is counted and logged once per outage. First, reopen
with backoff. Then abandon a thread that hangs in its library, and read in a child process, which can be
killed. Then exit with 75, so that the supervisor restarts the program. Finally, request a reboot if that is
allowed.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType

from edge.capture.orientation import UPRIGHT, Orientation
from edge.capture.reconnect.frame_checks import BadFrames
from edge.capture.reconnect.latest_frame import Slot
from edge.capture.reconnect.source_thread import Attempt, Opener
from edge.capture.reconnect.timeouts import Timeouts
from edge.data import Frame
from edge.errors import EdgeError, RestartNeeded

log = logging.getLogger("edge")
DARK = ("black", "blank")  # a covered lens or a dark room, which reopening cannot fix


class Recovering:
    """The newest frames of a live source, without bad ones, for as long as the camera can be recovered.

    ``in_process`` opens the source in this process, ``in_subprocess`` in a child process (None: never).
    ``idle`` is called at least once a second while there is no frame. Unless ``patient``, the error of a
    source that fails before its first frame is raised. Frames are turned by ``orientation``. Raises
    RestartNeeded if a thread or process that cannot be ended holds the camera.
    """

    def __init__(
        self,
        in_process: Opener,
        in_subprocess: Opener | None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008, it is frozen
        patient: bool = False,
        idle: Callable[[], None] = lambda: None,
        seed: int | None = None,
        orientation: Orientation = UPRIGHT,
    ) -> None:
        self.rungs: Counter[str] = Counter()  # how often each step was taken
        self.bad: Counter[str] = Counter()  # rejected frames, by fault
        self.why = ""  # there is no frame at the moment; "" while they come
        self.outages: deque[float] = deque(maxlen=100)  # durations in seconds, most recent last
        self._in_process, self._in_subprocess = in_process, in_subprocess
        self._timeouts, self._patient, self._turn = timeouts, patient, orientation.turn_frame
        self._idle = idle
        self._random = random.Random(seed)  # nosec B311
        self._slot, self._checks, self._unusable = Slot(), BadFrames(timeouts.frozen_s), _Unusable(timeouts)
        self._attempt: Attempt | None = None
        self._in_child = False
        self._failures = 0  # attempts since the last good frame
        self._logged: set[bool] = set()  # values of _in_child for which this outage has been logged
        self._silent_s: float | None = None  # monotonic, since when no frame has arrived at all
        self._last_s: float | None = None  # monotonic, when the last good frame arrived
        self._next_index = 0
        self._dropped_before = 0  # by earlier attempts
        self._closing = False
        self.frame_count: int | None = None

    def leave(self) -> None:
        """End the loop over the frames; may be called from ``idle``."""
        self._closing = True

    @property
    def dropped(self) -> int:
        """Frames replaced by a newer one before they were taken, here or in the child process."""
        current = self._attempt.dropped if self._attempt is not None else 0
        return self._slot.dropped + self._dropped_before + current

    def __enter__(self) -> Recovering:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        if self._attempt is None:
            return
        try:
            # Without heartbeats, whose parts are closed already, and quickly, since stopping has a time
            # limit.
            self._attempt.end(lambda: None, closing_s=0.0)
        except RestartNeeded:
            if error is None:  # else the error that ended the loop takes precedence
                raise

    def __iter__(self) -> Iterator[Frame]:
        self._attempt = Attempt(self._in_process, self._slot, self._timeouts)
        since_s = time.monotonic()
        while not self._closing:
            deadline = self._attempt.deadline(since_s)
            frame = self._slot.take(self._attempt.reader, min(max(deadline - time.monotonic(), 0.0), 1.0))
            now = time.monotonic()
            if frame is None:
                self._idle()
                if self._attempt.reader.ended or now >= self._attempt.deadline(since_s):
                    self._recover(f"none arrived for {now - since_s:.1f} s")
                    since_s = time.monotonic()
                continue
            self._silent_s = None
            if (fault := self._checks.fault(frame)) is None:
                # Turned after the checks, which know what is wrong with lines as the camera sends them.
                yield self._turn(self._numbered(frame, now))
                self._unusable.good(time.monotonic())
            else:
                self._reject(fault, now)
            since_s = time.monotonic()

    def _numbered(self, frame: Frame, now: float) -> Frame:
        """The frame with an index that continues across reopenings; records the end of an outage."""
        if self._failures and self._last_s is not None:
            self.outages.append(now - self._last_s)
            log.warning("frames are back after %.1f s (attempt %d)", now - self._last_s, self._failures)
        self._failures, self._last_s, self.why = 0, now, ""
        self._logged.clear()
        self._next_index += 1
        return replace(frame, index=self._next_index - 1)

    def _reject(self, fault: str, now: float) -> None:
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
        self.why = reason = _error_text(error) or reason
        self._failures += 1
        self.rungs["reopened"] += 1
        self._log_once(reason)
        self._escalate(not attempt.end(self._idle), reason)
        self._wait()
        if self._closing:
            return
        self._dropped_before += attempt.dropped
        opener = self._in_subprocess if self._in_child and self._in_subprocess else self._in_process
        self._attempt = Attempt(opener, self._slot, self._timeouts)
        self._unusable.opened()

    def _log_once(self, reason: str) -> None:
        """Log the fault once per outage, and once more in the child process, where it may differ."""
        if self._in_child not in self._logged:
            self._logged.add(self._in_child)
            log.warning("no frame%s: %s; reopening", " in the child process" * self._in_child, reason)

    def _escalate(self, hangs: bool, reason: str) -> None:
        """Switch to a child process, or request a restart, if reopening alone cannot help."""
        now = time.monotonic()
        self._silent_s = now if self._silent_s is None else self._silent_s
        if hangs and not self._in_child:
            self._abandon_thread()
            self._silent_s = now
        elif self._in_child and now - self._silent_s >= self._timeouts.held_s:
            # The device is released only when the process that contains the hung thread ends.
            raise RestartNeeded(
                f"no frame in the child process for {self._timeouts.held_s:g} s ({reason}): the hung thread "
                "still holds the camera; restart the program"
            )

    def _abandon_thread(self) -> None:
        """Give up a thread that hangs in its library; a second one in the same library must not follow."""
        self.rungs["threads abandoned"] += 1
        if self._in_subprocess is None:
            raise RestartNeeded("the camera's library hangs and recovery.child is off; restart the program")
        log.error("the camera's library hangs; its thread is abandoned and a child process takes over")
        self.rungs["child processes"] += 1
        self._in_child = True

    def _wait(self) -> None:
        """Backoff with jitter, so that machines that lost the same server do not reconnect in step."""
        wait = min(self._timeouts.first_wait_s * 2 ** (self._failures - 1), self._timeouts.longest_wait_s)
        end = time.monotonic() + wait * self._random.uniform(0.5, 1.0)
        while (left := end - time.monotonic()) > 0 and not self._closing:
            time.sleep(min(left, 0.5))
            self._idle()


class _Unusable:
    """Decides when a camera that delivers only bad frames should be reopened."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._bad_from_s: float | None = None  # first bad frame after a good one or a reopening
        self._good_from_s: float | None = None  # first good frame after a bad one or a reopening
        self._patience_s = timeouts.bad_s

    def opened(self) -> None:
        """Start over after the camera was reopened."""
        self._bad_from_s = self._good_from_s = None

    def good(self, now: float) -> None:
        """Note a good frame. A few follow every reopening; only a long run of them means recovery."""
        self._bad_from_s = None
        if self._good_from_s is None:
            self._good_from_s = now
        if now - self._good_from_s >= self._timeouts.bad_s:
            self._patience_s = self._timeouts.bad_s

    def due(self, fault: str, now: float) -> float | None:
        """Duration of the bad frames in seconds if the camera should be reopened, else None."""
        self._good_from_s = None
        if self._bad_from_s is None:
            self._bad_from_s = now
        bad_s = now - self._bad_from_s
        if fault in DARK or bad_s < (self._patience_s if fault == "frozen" else self._timeouts.bad_s):
            return None
        if fault == "frozen":
            self._patience_s = min(2 * self._patience_s, self._timeouts.max_bad_s)
        return bad_s


def _error_text(error: BaseException | None) -> str:
    """The message of an error, prefixed with its class unless it is an EdgeError."""
    if error is None or isinstance(error, EdgeError):
        return str(error or "")
    return f"{type(error).__name__}: {error}"
