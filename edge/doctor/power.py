"""Heat, throttling, power mode and supply.

Files: Raspberry Pi documentation, ``vcgencmd get_throttled``; NVIDIA, Jetson Linux Developer Guide, "Platform
Power and Performance"; kernel.org, ABI/testing/sysfs-class-power. Read from documentation, run on no board.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from edge.doctor.machine import Machine
from edge.health.load_governor import hottest
from edge.system.board_clocks import PowerMode, Throttling, alarms, governor
from edge.system.finding import FAULT, NOTE, OK, WARNING, Finding
from edge.system.sysfs import number, text, vcgencmd

_NEAR_C = 10.0  # below the limit: warm
_PI5_MA = 5000  # what the firmware asks of a supply before USB gets its full current
_SUPPLY = "use the board maker's own supply and a short cable, and unplug USB devices one by one"
_COOL = "mount a heat sink or a fan, open the case, keep it out of the sun"


def thermals(machine: Machine) -> Iterator[Finding]:
    """The hottest zone, against budget.celsius."""
    celsius, limit = hottest(machine.root), machine.config.budget.celsius or 80.0
    if celsius is None:
        yield Finding("thermals", NOTE, "no thermal zone tells its temperature")
    elif celsius >= limit:
        yield Finding(
            "thermals", WARNING, f"{celsius:.0f} °C, from {limit:.0f} °C on it does less work", _COOL
        )
    elif celsius >= limit - _NEAR_C:
        yield Finding("thermals", NOTE, f"{celsius:.0f} °C, near the limit of {limit:.0f} °C", _COOL)
    else:
        yield Finding("thermals", OK, f"{celsius:.0f} °C")


def throttling(machine: Machine) -> Iterator[Finding]:
    """The flags of a Raspberry Pi, the over-current events of a Jetson."""
    asks = vcgencmd if machine.live and shutil.which("vcgencmd") else None
    now, before = Throttling(machine.root, asks).read()
    if now is not None:
        yield _flags(now, before)
    for name, (path, per) in alarms(machine.root).items():
        count = number(path, per) or 0
        if name == "undervoltage_alarm" and count and now is None:
            yield Finding("throttling", FAULT, "under-voltage now", _SUPPLY)
        elif name.endswith("_events") and count:
            told = f"over-current or under-voltage throttled the clocks {count:.0f} times ({name[:3]})"
            yield Finding(
                "throttling", WARNING, told, "sudo nvpmodel -q; take a lower mode or a larger supply"
            )


def _flags(now: str, before: str | None) -> Finding:
    if "under-voltage" in now:
        return Finding("throttling", FAULT, f"{now} now", _SUPPLY)
    if now != "none":
        return Finding("throttling", WARNING, f"{now} now", _COOL)
    if before not in (None, "none"):
        fix = _SUPPLY if "under-voltage" in str(before) else _COOL
        return Finding("throttling", WARNING, f"since the start of the board: {before}", fix)
    return Finding("throttling", OK, "none")


def mode(machine: Machine) -> Iterator[Finding]:
    """The power mode of a Jetson, else the governor of the clocks."""
    if chosen := PowerMode(machine.root).read():
        yield Finding("power-mode", OK, chosen)
    driver = machine.word("sys/devices/system/cpu/cpu0/cpufreq/scaling_driver")
    # Under these drivers "powersave" is the usual one, which raises the clocks under load.
    own = driver.startswith(("intel_pstate", "amd-pstate", "amd_pstate"))
    if governor(machine.root) == "powersave" and not own:
        fix = "echo ondemand | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        yield Finding("power-mode", WARNING, "the governor powersave holds the lowest clock", fix)


def supply(machine: Machine) -> Iterator[Finding]:
    """What the supply may give (Raspberry Pi 5), and whether a battery is drained."""
    # A cell of a device tree: 32 bits, the most significant byte first; in mA.
    cell = machine.raw("proc/device-tree/chosen/power/max_current")
    if len(cell) == 4:
        milliampere = int.from_bytes(cell, "big")
        if milliampere < _PI5_MA:
            told = f"the supply offers {milliampere} mA of {_PI5_MA}: all USB devices together get 600 mA"
            yield Finding("supply", WARNING, told, "use a supply of 5 V and 5 A (27 W)")
        else:
            yield Finding("supply", OK, f"the supply offers {milliampere} mA")
    batteries = [text(file) for file in machine.found("sys/class/power_supply/*/status")]
    if "Discharging" in batteries:
        yield Finding("supply", NOTE, "it runs on its battery", "plug in the supply")
