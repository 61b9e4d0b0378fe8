"""What sets a board's clocks and what slows them: governor, power mode, frequencies, throttling, alarms.

Where to read each is looked up once, from the root of a machine; what is missing there is None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine.sysfs import Run, hwmon, number, text

# Raspberry Pi documentation: bits 0 to 3 hold now, bits 16 to 19 have held since boot.
_THROTTLED = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
_GPU = re.compile(r"gpu|\.g[a-z]\d+b$")  # 17000000.gpu, 17000000.ga10b, 57000000.gpu, gpu-gpc-0
_PROPER = re.compile(r"[\w.+-]{1,40}", re.ASCII)


class Throttling:
    """What a Raspberry Pi says of its throttling, now and since boot."""

    def __init__(self, root: Path, run: Run | None) -> None:
        files = root.glob("sys/devices/platform/soc*/soc*:firmware/get_throttled")
        self._run = run
        self._firmware = next(iter(sorted(files)), None)

    def read(self) -> tuple[str | None, str | None]:
        """Now and since boot, as "under-voltage, throttled" or "none"."""
        bits = _bits(self._run("get_throttled")) if self._run else None
        if bits is not None:
            return _names(bits), _names(bits >> 16)
        # The file of the kernel comes second: it is up to 2 s old, and raspberrypi-hwmon clears its bits of
        # the past with every poll. Such a bit tells that it happened; none tells nothing.
        bits = _bits(text(self._firmware)) if self._firmware else None
        if bits is None:
            return None, None
        return _names(bits), _names(bits >> 16) if bits >> 16 & 0xF else None


class PowerMode:
    """The power mode of a Jetson, as nvpmodel left it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._modes = _modes(root)

    def read(self) -> str | None:
        found = re.search(r"pmode:(\d{1,4})", text(self._root / "var/lib/nvpmodel/status") or "")
        if found is None:
            return None
        mode = int(found[1])
        return f"{self._modes[mode]} (mode {mode})" if mode in self._modes else f"mode {mode}"


def governor(root: Path = Path("/")) -> str | None:
    """The cpufreq governor; several, in order, where cores differ; None where the kernel has none."""
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    found = {name for file in files if _PROPER.fullmatch(name := text(file) or "")}
    return ", ".join(sorted(found)) or None


def clocks(root: Path, gpu: Path | None) -> dict[str, tuple[Path, float]]:
    """Name -> file and the divisor that makes it MHz."""
    cores = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    names = {file.parent.parent.name: file for file in cores}
    order: Sequence[str] = sorted(names, key=lambda name: (len(name), name))
    found = {f"{name}_mhz": (names[name], 1e3) for name in order}  # kHz
    if gpu is not None:
        found["gpu_mhz"] = (gpu / "cur_freq", 1e6)
    # The memory's clock: as devfreq on Thor, on Orin in debugfs alone, which root may read.
    memory = (root / "sys/class/devfreq/bwmgr/cur_freq", root / "sys/kernel/debug/bpmp/debug/clk/emc/rate")
    found["emc_mhz"] = (next((file for file in memory if number(file) is not None), memory[-1]), 1e6)
    return found


def alarms(root: Path) -> dict[str, tuple[Path, float]]:
    """Jetson Orin: events since boot (1 under-voltage, 2 mean, 3 peak current); Raspberry Pi: alarm now."""
    found = {}
    for chip in hwmon(root, "soctherm_oc"):
        for file in sorted(chip.glob("oc[0-9]_event_cnt")):
            found[f"{file.name[:3]}_events"] = (file, 1.0)
    for chip in hwmon(root, "rpi_volt"):
        found["undervoltage_alarm"] = (chip / "in0_lcrit_alarm", 1.0)
    return found


def gpu_clock(root: Path) -> Path | None:
    """The devfreq folder of the GPU; its name tells which one it is."""
    places = sorted((root / "sys/class/devfreq").glob("*"))
    return next((place for place in places if _GPU.search(place.name)), None)


def _modes(root: Path) -> dict[int, str]:
    """The power modes of a Jetson: ``< POWER_MODEL ID=2 NAME=MAXN_SUPER >`` in nvpmodel's settings."""
    settings = text(root / "etc/nvpmodel.conf", 1 << 20) or ""
    rows = re.findall(r"<\s*POWER_MODEL\s+ID=(\d{1,4})\s+NAME=([\w.+-]{1,40})", settings, re.ASCII)
    return {int(mode): name for mode, name in rows}


def _bits(answer: str | None) -> int | None:
    """ "throttled=0x50005" of vcgencmd or "50005" of the kernel."""
    found = re.fullmatch(r"(?:throttled=0x)?([0-9a-fA-F]{1,8})", (answer or "").strip())
    return int(found[1], 16) if found else None


def _names(bits: int) -> str:
    return ", ".join(name for bit, name in enumerate(_THROTTLED) if bits >> bit & 1) or "none"
