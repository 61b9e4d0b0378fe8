"""Wall-clock time for what is exported; everything else runs on the monotonic clock."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

JUMP_S = 1.0  # against the monotonic clock, between two looks
_SYNCED = Path("/run/systemd/timesync/synchronized")
_LIBC = ctypes.CDLL(None)
_UNSYNC = 0x40  # STA_UNSYNC of adjtimex(2)


class _Timex(ctypes.Structure):
    """The head of ``struct timex``; modes 0 asks and sets nothing."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def _adjtimex(asked: Any) -> int:
    """adjtimex(2); -1 where the libc has none."""
    return int(_LIBC.adjtimex(asked)) if hasattr(_LIBC, "adjtimex") else -1


def is_synchronized(file: Path = _SYNCED, adjtimex: Callable[[Any], int] = _adjtimex) -> bool:
    """Whether systemd-timesyncd, chronyd or ntpd keeps the wall clock.

    The first leaves a file; all of them tell the kernel, which a sandbox may forbid to be asked.
    """
    if file.exists():
        return True
    asked = _Timex()
    return adjtimex(ctypes.byref(asked)) >= 0 and not asked.status & _UNSYNC


class WallClock:
    """UTC of a monotonic stamp, and whether it can be believed.

    A board without a battery starts somewhere in the past and jumps when it finds a time server. Times
    before the first synchronization, and those of the minute after a jump, are flagged.
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
        """ISO 8601 time of a monotonic ``stamp_s``, and False where the clock is or was just wrong."""
        now = self._monotonic()
        offset = self._wall() - now
        if abs(offset - self._offset) > JUMP_S:
            self._doubt_until = now + 60
        self._offset = offset
        utc = datetime.fromtimestamp(max(offset + stamp_s, 0), tz=timezone.utc)
        text = utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return text, self._synced() and now >= self._doubt_until
