"""Wall-clock time for exported data; everything else uses the monotonic clock."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

JUMP_S = 1.0  # change against the monotonic clock that counts as a jump
_SYNCED = Path("/run/systemd/timesync/synchronized")
_LIBC = ctypes.CDLL(None)
_UNSYNC = 0x40  # STA_UNSYNC of adjtimex(2)


class _Timex(ctypes.Structure):
    """The start of ``struct timex``; modes 0 only reads."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def _adjtimex(timex: Any) -> int:
    """adjtimex(2); -1 if the libc lacks it."""
    return int(_LIBC.adjtimex(timex)) if hasattr(_LIBC, "adjtimex") else -1


def is_synchronized(file: Path = _SYNCED, adjtimex: Callable[[Any], int] = _adjtimex) -> bool:
    """Whether systemd-timesyncd, chronyd or ntpd keeps the wall clock synchronized.

    The first creates a file; all of them set the kernel's status, which a sandbox may hide.
    """
    if file.exists():
        return True
    timex = _Timex()
    return adjtimex(ctypes.byref(timex)) >= 0 and not timex.status & _UNSYNC


class WallClock:
    """Converts monotonic timestamps to UTC and reports whether the result is reliable.

    A board without a battery boots with a time in the past and jumps once it reaches a time server. Times
    before the first synchronization, and those within a minute after a jump, are unreliable.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        synced: Callable[[], bool] = is_synchronized,
    ) -> None:
        self._wall, self._monotonic, self._synced = wall, monotonic, synced
        self._offset = wall() - monotonic()
        self._doubt_until = float("-inf")

    def at(self, stamp_s: float) -> tuple[str, bool]:
        """ISO 8601 time of a monotonic ``stamp_s``, and False if the clock is or was recently wrong."""
        now = self._monotonic()
        offset = self._wall() - now
        if abs(offset - self._offset) > JUMP_S:
            self._doubt_until = now + 60
        self._offset = offset
        utc = datetime.fromtimestamp(max(offset + stamp_s, 0), tz=timezone.utc)
        text = utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return text, self._synced() and now >= self._doubt_until
