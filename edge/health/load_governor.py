"""Reduces the work if the processor is overloaded or too hot, and restores it once both have recovered.

Every level keeps the recurrent states valid. The network runs at its declared rate or at half of it, which
has the same effect as lost frames (the model card gives the figures with frames lost).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("edge")
TOO_MUCH_S = 2.0  # over a budget for this long: reduce the work by one level
ENOUGH_S = 10.0  # under 85 % of every budget for this long: restore one level
HOLDS_S = 60.0  # restoring a level has failed if the load is too high again within this time
LONGEST_S = 600.0  # maximum wait after a failed attempt; it starts at ENOUGH_S and doubles with each failure
_MARGIN = 0.85
_SAMPLE_S = 1.0


@dataclass(frozen=True)
class Level:
    """Amount of work at one level."""

    step_share: float  # of the network steps
    detect_every: int  # factor for the frames between detections
    width_share: float  # of the detector's input width
    parts: bool = False  # whether to look for small faces in parts of the frame


LEVELS = (Level(1.0, 1, 1.0, parts=True), Level(1.0, 2, 1.0), Level(0.5, 3, 0.75), Level(0.5, 5, 0.5))


class LoadGovernor:
    """Chooses the level. Budgets: ``cpu_percent`` of one core and ``celsius``; None means no limit."""

    def __init__(
        self,
        cpu_percent: float | None,
        celsius: float | None,
        temperature: Callable[[], float | None],
        now: Callable[[], float] = time.monotonic,
        cpu_s: Callable[[], float] = time.process_time,
    ) -> None:
        self.level = 0
        self.cpu: float | None = None  # percent of one core over the last sample
        self.celsius: float | None = None
        self._budgets = (cpu_percent, celsius)
        self._temperature, self._now, self._cpu_s = temperature, now, cpu_s
        self._sampled_s, self._used_s = now(), cpu_s()
        self._over_since_s: float | None = None
        self._calm_since_s: float | None = None
        self._raised_s: float | None = None  # when a level was last restored
        self._wait_s, self._not_before_s = ENOUGH_S, float("-inf")

    def adjust(self) -> Level:
        """Sample the load at most once a second, and return the current level."""
        now = self._now()
        if now - self._sampled_s >= _SAMPLE_S:
            used = self._cpu_s()
            self.cpu = 100 * (used - self._used_s) / (now - self._sampled_s)
            self._sampled_s, self._used_s = now, used
            self.celsius = self._temperature()
            self._decide(now)
        return LEVELS[self.level]

    def figures(self) -> dict[str, float | None]:
        """Level, percent of one core and degrees Celsius at the last sample."""
        return {"level": self.level, "cpu_percent": _rounded(self.cpu), "celsius": _rounded(self.celsius)}

    def _decide(self, now: float) -> None:
        pairs = [
            (value, limit)
            for value, limit in zip((self.cpu, self.celsius), self._budgets, strict=True)
            if value is not None and limit is not None
        ]
        over = any(value > limit for value, limit in pairs)
        calm = all(value < _MARGIN * limit for value, limit in pairs)
        self._over_since_s = (self._over_since_s or now) if over else None
        self._calm_since_s = (self._calm_since_s or now) if calm else None
        if self._raised_s is not None and now - self._raised_s > HOLDS_S:
            self._raised_s, self._wait_s = None, ENOUGH_S
        if self._over_since_s is not None and now - self._over_since_s >= TOO_MUCH_S:
            self._learn(now)
            self._move(+1)
        elif self._may_rise(now):
            self._raised_s = now
            self._move(-1)

    def _may_rise(self, now: float) -> bool:
        calm = self._calm_since_s is not None and now - self._calm_since_s >= ENOUGH_S
        return calm and self.level > 0 and now >= self._not_before_s

    def _learn(self, now: float) -> None:
        """After a failed attempt, wait longer, so that the level does not flip every few seconds."""
        if self._raised_s is not None:
            self._raised_s, self._wait_s = None, min(2 * self._wait_s, LONGEST_S)
            self._not_before_s = now + self._wait_s

    def _move(self, by: int) -> None:
        level = min(max(self.level + by, 0), len(LEVELS) - 1)
        self._over_since_s = self._calm_since_s = None
        if level != self.level:
            self.level = level
            heat = "temperature unknown" if self.celsius is None else f"{self.celsius:.0f} °C"
            log.warning("load level %d of %d (cpu %.0f %%, %s)", level, len(LEVELS) - 1, self.cpu or 0, heat)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def hottest(sysroot: Path = Path("/")) -> float | None:
    """Highest temperature of the kernel's thermal zones in degrees Celsius; None if there is none."""
    readings = []
    for zone in (sysroot / "sys/class/thermal").glob("thermal_zone*/temp"):
        try:
            readings.append(int(zone.read_text().strip()) / 1000)
        except (OSError, ValueError):  # a zone of a component that is switched off
            continue
    return max((celsius for celsius in readings if -40 < celsius < 150), default=None)
