"""Wall-clock time for what is exported; everything else runs on the monotonic clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

JUMP_S = 1.0  # against the monotonic clock, between two looks
_SYNCED = Path("/run/systemd/timesync/synchronized")


class WallClock:
    """UTC of a monotonic stamp, and whether it can be believed.

    A board without a battery starts somewhere in the past and jumps when it finds a time server. Times
    before the first synchronisation, and those of the minute after a jump, are flagged.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        synced: Callable[[], bool] = _SYNCED.exists,
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
