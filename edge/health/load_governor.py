"""Less work where the processor or its temperature says so, and more again when both have recovered.

Every level keeps the states valid: the network is fed at its declared rate or at half of it, which is what
lost frames do to it, too (the model card has the figures with frames lost).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("edge")
TOO_MUCH_S = 2.0  # over a budget for so long: one level down
ENOUGH_S = 10.0  # under 85 % of every budget for so long: one level up
HOLDS_S = 60.0  # a level up that was too much sooner than this has failed
LONGEST_S = 600.0  # from one that failed to the next try; the first wait is ENOUGH_S, each failure doubles it
_MARGIN = 0.85
_SAMPLE_S = 1.0


@dataclass(frozen=True)
class Level:
    """What one level does: a share of the steps, frames between detections, a share of the width."""

    step_share: float
    detect_every: int
    width_share: float


LEVELS = (Level(1.0, 1, 1.0), Level(1.0, 2, 1.0), Level(0.5, 3, 0.75), Level(0.5, 5, 0.5))


class LoadGovernor:
    """Chooses the level. Budgets: ``cpu_percent`` of one core and ``celsius``; None sets no limit."""

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
        self._raised_s: float | None = None  # when the last level up was tried
        self._wait_s, self._not_before_s = ENOUGH_S, float("-inf")

    def adjust(self) -> Level:
        """Look at the machine at most once a second, and give the level that now holds."""
        now = self._now()
        if now - self._sampled_s >= _SAMPLE_S:
            used = self._cpu_s()
            self.cpu = 100 * (used - self._used_s) / (now - self._sampled_s)
            self._sampled_s, self._used_s = now, used
            self.celsius = self._temperature()
            self._decide(now)
        return LEVELS[self.level]

    def figures(self) -> dict[str, float | None]:
        """Level, percent of one core and degrees Celsius of the last look."""
        return {"level": self.level, "cpu_percent": _rounded(self.cpu), "celsius": _rounded(self.celsius)}

    def _decide(self, now: float) -> None:
        pairs = [
            (found, limit)
            for found, limit in zip((self.cpu, self.celsius), self._budgets, strict=True)
            if found is not None and limit is not None
        ]
        over = any(found > limit for found, limit in pairs)
        calm = all(found < _MARGIN * limit for found, limit in pairs)
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
        """A level that relieves the machine is not given up every few seconds for one that was too much."""
        if self._raised_s is not None:
            self._raised_s, self._wait_s = None, min(2 * self._wait_s, LONGEST_S)
            self._not_before_s = now + self._wait_s

    def _move(self, by: int) -> None:
        level = min(max(self.level + by, 0), len(LEVELS) - 1)
        self._over_since_s = self._calm_since_s = None
        if level != self.level:
            self.level = level
            heat = "unknown" if self.celsius is None else f"{self.celsius:.0f} C"
            log.warning("load level %d of %d (cpu %.0f %%, %s)", level, len(LEVELS) - 1, self.cpu or 0, heat)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def hottest(sysroot: Path = Path("/")) -> float | None:
    """Highest temperature of the kernel's thermal zones in degrees Celsius; None where there is none."""
    found = []
    for zone in (sysroot / "sys/class/thermal").glob("thermal_zone*/temp"):
        try:
            found.append(int(zone.read_text().strip()) / 1000)
        except (OSError, ValueError):  # a zone of a part that is switched off
            continue
    plausible = [celsius for celsius in found if -40 < celsius < 150]
    return max(plausible) if plausible else None
