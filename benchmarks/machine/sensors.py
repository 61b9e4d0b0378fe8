"""Clocks, temperatures, throttling and power of a board during a measurement.

File formats: kernel.org, ABI/testing/sysfs-class-thermal and sysfs-class-devfreq, admin-guide/pm/cpufreq,
hwmon/ina3221, power/powercap; Raspberry Pi documentation, ``vcgencmd get_throttled``; NVIDIA, Jetson Linux
Developer Guide, "Platform Power and Performance".
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.machine.power import Rapl, source
from edge.system.board_clocks import PowerMode, Throttling, alarms, clocks, governor, gpu_clock
from edge.system.sysfs import Run, distinct, identifier, number, text, vcgencmd

Value = float | str | None
# Always present, so that a table has the same columns everywhere.
_ALWAYS = (
    "governor", "nvpmodel", "temperature_c", "throttled", "throttled_since_boot",
    "power_w", "gpu_mhz", "emc_mhz",
)  # fmt: skip


class Sensors:
    """The sensors of one machine; a missing or unreadable one reads as None, and nothing raises.

    On a Raspberry Pi each ``read`` runs vcgencmd once or twice; once per second is enough.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        run: Run | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        # vcgencmd queries the machine it runs on: of no use for another root.
        here = root == Path("/") and shutil.which("vcgencmd") is not None
        self._root = root
        run = run or (vcgencmd if here else None)
        self._power = source(root, run, now)
        self._gpu = gpu_clock(root)
        self._scalars = {**clocks(root, self._gpu), **alarms(root)}
        self._zones = _zones(root)
        self._throttling = Throttling(root, run)
        self._mode = PowerMode(root)

    def begin(self) -> None:
        """Reset the counters, so that the next power reading does not reach back before the measurement."""
        if isinstance(self._power, Rapl):
            self._power.begin()

    def fixed(self) -> dict[str, Value]:
        """What should not change during a measurement: governor, power mode, and the available sensors."""
        return {
            "governor": governor(self._root),
            "nvpmodel": self._mode.read(),
            "power_sensor": self._power.name if self._power else None,
            "gpu_sensor": self._gpu.name if self._gpu else None,
            "temperature_sensors": ", ".join(name.removesuffix("_c") for name in self._zones) or None,
        }

    def read(self) -> dict[str, Value]:
        """One sample of everything, including governor and power mode, which someone may change."""
        zones = {name: _plausible(number(path, 1000)) for name, path in self._zones.items()}
        celsius = [degrees for degrees in zones.values() if degrees is not None]
        power = self._power.read() if self._power else {}
        now, since_boot = self._throttling.read()
        return {
            **dict.fromkeys(_ALWAYS),
            **zones,
            **power,
            **{name: number(path, per) for name, (path, per) in self._scalars.items()},
            "governor": governor(self._root),
            "nvpmodel": self._mode.read(),
            # As edge.health.load_governor.hottest, from these readings: a second reading may differ.
            "temperature_c": max(celsius, default=None),
            "throttled": now,
            "throttled_since_boot": since_boot,
            "power_w": power.get("power_w"),
        }


class Sampler:
    """Reads the sensors during a measurement, every ``period_s``, from entry to exit.

    ``samples`` holds {"time_s": seconds since the start, ...}. The first one is taken immediately and the
    last one on exit, so that even a short block has two.
    """

    def __init__(
        self, sensors: Sensors, period_s: float = 1.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        if period_s <= 0:
            raise ValueError(f"period_s is {period_s}, expected more than 0")
        self.samples: list[dict[str, Value]] = []
        self._sensors, self._period_s, self._now = sensors, period_s, now
        self._start_s = now()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="sensors", daemon=True)

    def __enter__(self) -> Sampler:
        self._sensors.begin()
        self._start_s = self._now()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10.0)  # a hanging sensor driver must not hold back the result

    def _sample(self) -> None:
        self._take()
        # Relative to the start, not to the last reading: a slow sensor must not delay all later ones.
        while not self._stop.wait(self._period_s - (self._now() - self._start_s) % self._period_s):
            self._take()
        self._take()

    def _take(self) -> None:
        time_s = round(self._now() - self._start_s, 6)
        try:
            values = self._sensors.read()
        except Exception as error:  # a failed sample must not fail the measurement
            values = {"error": type(error).__name__}
        self.samples.append({"time_s": time_s, **values})


def _zones(root: Path) -> dict[str, Path]:
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"), key=lambda p: (len(p.name), p.name))
    names = distinct([f"{identifier(text(zone / 'type') or zone.name)}_c" for zone in zones])
    return {name: zone / "temp" for name, zone in zip(names, zones, strict=True)}


def _plausible(celsius: float | None) -> float | None:
    """``celsius``, or None: a zone that is switched off may read -256 instead of failing."""
    return celsius if celsius is not None and -40 < celsius < 150 else None
