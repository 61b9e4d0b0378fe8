"""How often a source gives frames, so that no limit in seconds is shorter than what the source can do."""

from __future__ import annotations

from collections import deque

_RECENT = 15  # gaps
_STALLS = 3  # of these may be as long as they like
PERIODS = 2.5  # a frame may be missed, and the next one may be late


class Pace:
    """The source's own period, from its recent gaps.

    A camera that stalls does not change it, nor does a clock that jumps: the three longest gaps do not count,
    and of a few gaps the longer half. Frames in bursts do: the wait between two bursts is what counts.
    """

    def __init__(self) -> None:
        self._gaps_s: deque[float] = deque(maxlen=_RECENT)
        self._last_s: float | None = None

    def see(self, timestamp_s: float) -> None:
        """Take the time of the next frame, in seconds."""
        if self._last_s is not None and timestamp_s > self._last_s:
            self._gaps_s.append(timestamp_s - self._last_s)
        self._last_s = timestamp_s

    @property
    def period_s(self) -> float:
        """Seconds between two frames; 0 before the second one."""
        count = len(self._gaps_s)
        return sorted(self._gaps_s)[max((count - 1) // 2, count - 1 - _STALLS)] if count else 0.0

    def at_least(self, limit_s: float) -> float:
        """``limit_s``, or two and a half periods if that is more."""
        return max(limit_s, PERIODS * self.period_s)
