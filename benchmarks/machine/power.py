"""Power and energy, from the sensor that covers most of the machine.

Every source reads in watts; its ``name`` says what it measures and what it leaves out. A total is never
guessed: if nothing measures it, ``power_w`` is None. Examples are a Raspberry Pi 4 and a Jetson AGX Orin,
whose rails have no common input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from edge.system.sysfs import Run, distinct, hwmon, identifier, number, text

Watts = dict[str, float | None]

# kernel.org, hwmon/ina3221: channels 4 to 7 are shunt voltages and sums, not rails.
_CHANNELS = (1, 2, 3)
# The module of a Jetson Orin Nano or NX; all of a Thor including its carrier.
_TOTALS = {
    "vdd_in_w": "INA3221, rail VDD_IN: the module, without its carrier board",
    "vin_w": "INA238, rail VIN: module and carrier board",
}
_NO_TOTAL = "INA3221, single rails: none of them measures the whole machine"
_PMIC = "PMIC of the Raspberry Pi, sum of its rails: without USB, HATs and the losses of the regulators"
_RAPL = "RAPL, processor packages: without memory, disks and fans"
_ADC = re.compile(r"(\w{1,30})_([AV]) \w+\(\d+\)=(\d{1,3}\.\d{1,12})[AV]")


class PowerSource(Protocol):
    """``rails`` are the names that it reads, ``total`` says whether it provides ``power_w``."""

    name: str
    rails: tuple[str, ...]
    total: bool

    def read(self) -> Watts: ...


class Rails:
    """The INA3221 of a Jetson (JetPack 5 and newer) through hwmon; Thor also has an INA238 at its input.

    The resolution is 40 uV over a 5 mOhm shunt: 8 mA, or 40 mW at 5 V. Smaller differences are noise.
    """

    def __init__(self, root: Path) -> None:
        chips = hwmon(root, "ina3221")
        labeled = [
            (chip, channel, label)
            for chip in chips
            for channel in _CHANNELS
            if (label := text(chip / f"in{channel}_label")) and label != "NC"
        ]
        names = distinct([f"{identifier(label)}_w" for _, _, label in labeled])
        self._rails = {name: row[:2] for name, row in zip(names, labeled, strict=True)}
        # An INA238 on its own may measure anything that someone wired to it.
        self._input = next(iter(hwmon(root, "ina238")), None) if chips else None
        self.rails = (*self._rails, *(["vin_w"] if self._input else []))
        self._total = next((name for name in _TOTALS if name in self.rails), "")
        self.total = bool(self._total)
        self.name = _TOTALS.get(self._total, _NO_TOTAL)

    def read(self) -> Watts:
        watts = {name: self._watts(*rail) for name, rail in self._rails.items()}
        if self._input is not None:
            watts["vin_w"] = number(self._input / "power1_input", 1e6)  # uW
        return {**watts, "power_w": watts.get(self._total)}

    @staticmethod
    def _watts(chip: Path, channel: int) -> float | None:
        millivolt, milliampere = number(chip / f"in{channel}_input"), number(chip / f"curr{channel}_input")
        return None if millivolt is None or milliampere is None else round(millivolt * milliampere / 1e6, 6)


class Pmic:
    """The power chip of a Raspberry Pi 5 through ``vcgencmd pmic_read_adc``; older boards have none.

    It reports volts and amperes for 12 rails. Its input, EXT5V, has volts only: what USB devices and HATs
    draw from the 5 V supply bypasses it.
    """

    name = _PMIC

    def __init__(self, run: Run | None) -> None:
        self._run: Run = run or (lambda _: None)
        self.rails = tuple(self._measured())
        self.total = bool(self.rails)

    def read(self) -> Watts:
        measured = self._measured()
        watts = {rail: measured.get(rail) for rail in self.rails}
        known = [watt for watt in watts.values() if watt is not None]
        return {**watts, "power_w": round(sum(known), 6) if known and len(known) == len(watts) else None}

    def _measured(self) -> dict[str, float]:
        rows = _ADC.findall(self._run("pmic_read_adc") or "")
        ampere, volt = ({name: float(value) for name, kind, value in rows if kind == unit} for unit in "AV")
        return {
            f"{identifier(name)}_w": round(ampere[name] * volt[name], 6) for name in ampere if name in volt
        }


class Rapl:
    """Energy counters of x86 processors, which most systems show to root alone (CVE-2020-8694).

    A reading is the mean power since the previous one; the first one is None.
    """

    name = _RAPL

    def __init__(self, root: Path, now: Callable[[], float]) -> None:
        # Other zones lie within a package (core, dram) or around it (psys): a sum would count them twice.
        zones = [
            (zone, label)
            for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:*"))
            if (label := text(zone / "name") or "").startswith("package")
            and number(zone / "energy_uj") is not None
        ]
        names = distinct([f"{identifier(label)}_w" for _, label in zones])
        self._zones = {name: zone for name, (zone, _) in zip(names, zones, strict=True)}
        self._now = now
        self._last: dict[str, tuple[float, float]] = {}
        self.rails = tuple(self._zones)
        self.total = bool(self.rails)

    def begin(self) -> None:
        self._last.clear()

    def read(self) -> Watts:
        watts = {name: self._watts(name, zone) for name, zone in self._zones.items()}
        known = [watt for watt in watts.values() if watt is not None]
        return {**watts, "power_w": sum(known) if known and len(known) == len(watts) else None}

    def _watts(self, name: str, zone: Path) -> float | None:
        now, count = self._now(), number(zone / "energy_uj")
        if count is None:
            return None
        last_s, last = self._last.get(name, (now, count))
        self._last[name] = (now, count)
        wrapped = count < last
        used = count - last + ((number(zone / "max_energy_range_uj") or 0) if wrapped else 0)
        return round(used / 1e6 / (now - last_s), 6) if now > last_s and used >= 0 else None


def source(root: Path, run: Run | None, now: Callable[[], float]) -> PowerSource | None:
    """The source with a total if there is one, else one with single rails, else None."""
    sources: tuple[PowerSource, ...] = (Rails(root), Pmic(run), Rapl(root, now))
    present = [candidate for candidate in sources if candidate.rails]
    return next((candidate for candidate in present if candidate.total), present[0] if present else None)


def energy_j(samples: Sequence[float | None], times: Sequence[float]) -> float | None:
    """Joules between the first and the last reading of ``samples`` (W) at ``times`` (s), by trapezoids.

    A missing reading is bridged by its neighbors. None for fewer than two readings.
    """
    known = _known(samples, times)
    if len(known) < 2:
        return None
    return sum((b - a) * (p + q) / 2 for (a, p), (b, q) in pairwise(known))


def mean_w(samples: Sequence[float | None], times: Sequence[float]) -> float | None:
    """Mean power in watts over the same time as ``energy_j``."""
    energy, known = energy_j(samples, times), _known(samples, times)
    return None if energy is None or known[-1][0] <= known[0][0] else energy / (known[-1][0] - known[0][0])


def energy_per_estimate(
    busy_w: float | None, idle_w: float | None, seconds: float, estimates: int
) -> float | None:
    """Joules per estimate above idle; None without readings or estimates.

    Noise may make it negative. It is not clamped: that would bias the mean of many runs upward.
    """
    if busy_w is None or idle_w is None or estimates <= 0:
        return None
    return (busy_w - idle_w) * seconds / estimates


def _known(samples: Sequence[float | None], times: Sequence[float]) -> list[tuple[float, float]]:
    return [(time, watt) for watt, time in zip(samples, times, strict=True) if watt is not None]
