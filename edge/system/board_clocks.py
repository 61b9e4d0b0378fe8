"""What sets and limits a board's clocks: governor, power mode, frequencies, throttling, alarms.

Paths are looked up once, relative to a root folder; whatever is missing there reads as None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from edge.system.sysfs import Run, hwmon, number, text

# Raspberry Pi documentation: bits 0 to 3 are current, bits 16 to 19 have occurred since boot.
_THROTTLED = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
_GPU = re.compile(r"gpu|\.g[a-z]\d+b$")  # 17000000.gpu, 17000000.ga10b, 57000000.gpu, gpu-gpc-0
_NAME = re.compile(r"[\w.+-]{1,40}", re.ASCII)


class Throttling:
    """The throttling flags of a Raspberry Pi, current and since boot."""

    def __init__(self, root: Path, run: Run | None) -> None:
        files = root.glob("sys/devices/platform/soc*/soc*:firmware/get_throttled")
        self._run = run
        self._firmware = next(iter(sorted(files)), None)

    def read(self) -> tuple[str | None, str | None]:
        """Current flags and those since boot, as "under-voltage, throttled" or "none"."""
        bits = _bits(self._run("get_throttled")) if self._run else None
        if bits is not None:
            return _names(bits), _names(bits >> 16)
        # The kernel's file comes second: it is up to 2 s old, and raspberrypi-hwmon clears the sticky bits
        # with every poll. A sticky bit proves that it happened; its absence proves nothing.
        bits = _bits(text(self._firmware)) if self._firmware else None
        if bits is None:
            return None, None
        return _names(bits), _names(bits >> 16) if bits >> 16 & 0xF else None


class PowerMode:
    """The power mode of a Jetson, as last set by nvpmodel."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._modes = _modes(root)

    def read(self) -> str | None:
        match = re.search(r"pmode:(\d{1,4})", text(self._root / "var/lib/nvpmodel/status") or "")
        if match is None:
            return None
        mode = int(match[1])
        return f"{self._modes[mode]} (mode {mode})" if mode in self._modes else f"mode {mode}"


def governor(root: Path = Path("/")) -> str | None:
    """The cpufreq governor, a sorted list if cores differ; None if the kernel has none."""
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    names = {name for file in files if _NAME.fullmatch(name := text(file) or "")}
    return ", ".join(sorted(names)) or None


def clocks(root: Path, gpu: Path | None) -> dict[str, tuple[Path, float]]:
    """Name -> file, and the divisor that converts its value to MHz."""
    cores = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    names = {file.parent.parent.name: file for file in cores}
    order: Sequence[str] = sorted(names, key=lambda name: (len(name), name))
    files = {f"{name}_mhz": (names[name], 1e3) for name in order}  # kHz
    if gpu is not None:
        files["gpu_mhz"] = (gpu / "cur_freq", 1e6)
    # The memory clock: in devfreq on Thor; on Orin only in debugfs, which root may read.
    memory = (root / "sys/class/devfreq/bwmgr/cur_freq", root / "sys/kernel/debug/bpmp/debug/clk/emc/rate")
    files["emc_mhz"] = (next((file for file in memory if number(file) is not None), memory[-1]), 1e6)
    return files


def alarms(root: Path) -> dict[str, tuple[Path, float]]:
    """Name -> file and divisor.

    Jetson Orin counts events since boot (1 under-voltage, 2 mean current, 3 peak current).
    A Raspberry Pi has one alarm, on or off.
    """
    files = {}
    for chip in hwmon(root, "soctherm_oc"):
        for file in sorted(chip.glob("oc[0-9]_event_cnt")):
            files[f"{file.name[:3]}_events"] = (file, 1.0)
    for chip in hwmon(root, "rpi_volt"):
        files["undervoltage_alarm"] = (chip / "in0_lcrit_alarm", 1.0)
    return files


def gpu_clock(root: Path) -> Path | None:
    """The devfreq folder of the GPU, recognized by its name."""
    folders = sorted((root / "sys/class/devfreq").glob("*"))
    return next((folder for folder in folders if _GPU.search(folder.name)), None)


def _modes(root: Path) -> dict[int, str]:
    """The power modes of a Jetson: ``< POWER_MODEL ID=2 NAME=MAXN_SUPER >`` in nvpmodel.conf."""
    settings = text(root / "etc/nvpmodel.conf", 1 << 20) or ""
    rows = re.findall(r"<\s*POWER_MODEL\s+ID=(\d{1,4})\s+NAME=([\w.+-]{1,40})", settings, re.ASCII)
    return {int(mode): name for mode, name in rows}


def _bits(answer: str | None) -> int | None:
    """The flags in vcgencmd's "throttled=0x50005" or the kernel's "50005"."""
    match = re.fullmatch(r"(?:throttled=0x)?([0-9a-fA-F]{1,8})", (answer or "").strip())
    return int(match[1], 16) if match else None


def _names(bits: int) -> str:
    return ", ".join(name for bit, name in enumerate(_THROTTLED) if bits >> bit & 1) or "none"
