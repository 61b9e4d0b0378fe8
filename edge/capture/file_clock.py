"""The clock of a video file: what its container says, without what cannot be."""

from __future__ import annotations

import math

_BACK_S = 1.0  # a time that falls by less is a disordered frame, by more a clock that began anew
# FFmpeg's own limits: of streams that were put together or broke off in between, and of other containers.
_LONGEST_GAP_S = {True: 3600.0, False: 30 * 3600.0}


class FileClock:
    """Times of a file's frames in seconds; they rise whatever the container says.

    ``restarts``: the format allows clocks that begin anew in the middle, as of two TS files put together. The
    times then go on from there. A single time that cannot be is the last one plus a period of ``fps``.
    """

    def __init__(self, fps: float, restarts: bool = False) -> None:
        self._period_s = 1.0 / fps
        self._longest_gap_s = _LONGEST_GAP_S[restarts]
        self._shift_s = 0.0  # from the container's clock to this one
        self._last_s: float | None = None

    def time_s(self, position_s: float) -> float:
        """The time of the next frame, which stands at ``position_s`` in the container; nan: it has none."""
        self._last_s = self._next_s(position_s)
        return self._last_s

    def _next_s(self, position_s: float) -> float:
        if self._last_s is None:
            return position_s if 0 <= position_s < _LONGEST_GAP_S[False] else 0.0  # 0, too, if it is nan
        following_s = self._last_s + self._period_s
        if not math.isfinite(position_s):
            return following_s
        gaps_s = {shift_s: position_s + shift_s - self._last_s for shift_s in (self._shift_s, 0.0)}
        fitting = [shift_s for shift_s, gap_s in gaps_s.items() if 0 < gap_s < self._longest_gap_s]
        if fitting:  # 0, if a single time was wrong
            self._shift_s = min(fitting, key=gaps_s.__getitem__)
            return position_s + self._shift_s
        if not -_BACK_S < gaps_s[self._shift_s] <= 0:
            self._shift_s = following_s - position_s
        return following_s
