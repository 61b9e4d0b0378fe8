"""Chooses the tracks to run the network for: at the bundle's rate, in turns if there are too many."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, inf

from edge.data import Track
from edge.system.pace import Pace

_MARGIN = 0.95  # of reset_after_s, to allow for jitter in the camera's frame times


def is_due(last_step_s: float | None, now_s: float, step_hz: float) -> bool:
    """At most one step per tick of ``step_hz``; ticks preserve the mean rate at any frame rate."""
    if last_step_s is None:
        return True
    # The tolerance of 1/1000 tick is for container times rounded to milliseconds or finer.
    return floor(now_s * step_hz + 1e-3) > floor(last_step_s * step_hz + 1e-3)


class Turns:
    """Chooses faces if there are too many for one step: the largest ones, plus one of the rest in turn.

    The turn goes to the face that has waited longest. If all of the rest get their turn before their states
    are reset, a turn is one step, and they become and stay warm. Otherwise a turn lasts until the face is
    warm: single steps, each from an empty state, would never make any of them warm.
    """

    def __init__(self, most: int, warm_steps: int, reset_after_s: float, pace: Pace | None = None) -> None:
        self._most, self._warm_steps, self._reset_after_s = most, warm_steps, reset_after_s
        self._pace = pace or Pace()
        self._arrived_s: dict[int, float] = {}  # track id -> start of the wait for its first step
        self._begun: dict[int, Track] = {}  # unfinished turns; one for each frame between two steps of a face

    @property
    def reset_after_s(self) -> float:
        """Seconds without a step after which a state is reset."""
        return self._pace.at_least(self._reset_after_s)

    def choose(self, due: list[Track], now_s: float, period_s: float) -> list[Track]:
        """At most ``most`` tracks of ``due``; ``period_s`` is the time between two steps of a face."""
        arrived_s, self._arrived_s = self._arrived_s, {}
        if len(due) <= self._most:
            return due
        self._arrived_s = {t.id: arrived_s.get(t.id, now_s) for t in due if t.last_step_s is None}
        by_size = sorted(due, key=lambda track: track.face.box_xyxy[0] - track.face.box_xyxy[2])
        largest, rest = by_size[: self._most - 1], by_size[self._most - 1 :]
        lasting = len(rest) * period_s > _MARGIN * self.reset_after_s
        return [*largest, self._turn(rest, now_s, lasting)]

    def _turn(self, rest: Sequence[Track], now_s: float, lasting: bool) -> Track:
        self._begun = {i: track for i, track in self._begun.items() if self._is_warming(track, now_s)}
        if lasting and (begun := [track for track in rest if track.id in self._begun]):
            return max(begun, key=lambda track: track.steps)
        longest = min(rest, key=self._since)
        self._begun[longest.id] = longest
        return longest

    def _is_warming(self, track: Track, now_s: float) -> bool:
        last_s = -inf if track.last_step_s is None else track.last_step_s
        return track.steps < self._warm_steps and now_s - last_s <= self.reset_after_s

    def _since(self, track: Track) -> tuple[float, bool, int]:
        # New faces queue behind older ones; otherwise a stream of new faces would starve those.
        if track.last_step_s is None:
            return self._arrived_s[track.id], False, track.id
        return track.last_step_s, True, track.id
