"""Disks: space, wear, faults, and whether they can be written.

Files: kernel.org, ABI/testing/sysfs-fs-ext4 and, for eMMC, driver-api/mmc/mmc-dev-attrs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress

from edge.doctor.machine import CACHE, STATE, Machine
from edge.system.finding import FAULT, NOTE, OK, WARNING, Finding, not_looked_at
from edge.system.sysfs import number

_LOW_MB, _FULL_MB = 200, 20
_CLEAN = "sudo journalctl --vacuum-size=50M; sudo apt clean; and rotate the file of estimates"


def space(machine: Machine) -> Iterator[Finding]:
    """Free space and free names where the service writes."""
    if not machine.live:
        yield not_looked_at("space", "free space")
        return
    told = set()
    for name in (STATE, CACHE, "var/log"):
        with suppress(OSError):
            folder = next(path for path in (machine.path(name), *machine.path(name).parents) if path.exists())
            device, disk = os.stat(folder).st_dev, os.statvfs(folder)
            if device in told:
                continue
            told.add(device)
            yield _space(str(folder), disk)


def _space(folder: str, disk: os.statvfs_result) -> Finding:
    free_mb = disk.f_bavail * disk.f_frsize / 1e6
    if disk.f_files and disk.f_favail < 1000:
        return Finding("space", WARNING, f"the disk of {folder} has names for {disk.f_favail} files", _CLEAN)
    if free_mb < _LOW_MB:
        level = FAULT if free_mb < _FULL_MB else WARNING
        return Finding("space", level, f"the disk of {folder} has {free_mb:.0f} MB left", _CLEAN)
    return Finding("space", OK, f"the disk of {folder} has {free_mb / 1e3:.1f} GB left")


def writable(machine: Machine) -> Iterator[Finding]:
    """Whether the root file system became read-only by a fault, and the service has where to write."""
    mounted, wished = _options(machine, "proc/mounts"), _options(machine, "etc/fstab")
    if "ro" in mounted and wished and "ro" not in wished:
        text = "the root file system is read-only, although /etc/fstab mounts it for writing: it had a fault"
        yield Finding("writable", FAULT, text, "sudo dmesg | grep -i -e ext4 -e mmc; then replace the card")
    elif "ro" in mounted:
        yield Finding("writable", OK, "the root file system is read-only, as /etc/fstab says")
    for file in machine.found("sys/fs/ext4/*/errors_count"):
        if count := number(file):
            text = f"the file system on {file.parent.name} counts {count:.0f} errors"
            fix = "back up, then: sudo touch /forcefsck; sudo reboot"
            yield Finding("writable", WARNING, text, fix)


def _options(machine: Machine, table: str) -> list[str]:
    """How "/" is mounted: the last line counts, since a later mount hides the earlier one."""
    rows = [line.split() for line in machine.text(table).splitlines() if not line.lstrip().startswith("#")]
    found = [row[3].split(",") for row in rows if len(row) > 3 and row[1] == "/"]
    return found[-1] if found else []


def wear(machine: Machine) -> Iterator[Finding]:
    """Of an eMMC: its own estimate of the life used, in tenths. A memory card does not tell its wear."""
    for file in machine.found("sys/block/mmcblk*/device/type"):
        if machine.word(_inside(machine, file)) == "SD":
            name = file.parent.parent.name
            text = f"{name} is a memory card, which does not tell its wear"
            yield Finding("wear", NOTE, text, "have a second card ready; `dmesg | grep mmc` shows its faults")
    for file in machine.found("sys/block/mmcblk*/device/life_time"):
        name = file.parent.parent.name
        used = [
            int(word, 16)
            for word in re.findall(r"0x([0-9a-fA-F]{1,2})\b", machine.text(_inside(machine, file)))
        ]
        end = machine.word(_inside(machine, file.with_name("pre_eol_info")))
        tenths = max(used, default=0)
        if end in ("0x02", "0x03") or tenths >= 9:
            text = f"{name} has used {min(10 * tenths, 100)} % of its life"
            yield Finding("wear", FAULT if end == "0x03" or tenths > 10 else WARNING, text, "replace it soon")
        elif tenths:
            yield Finding("wear", OK, f"{name} has used up to {10 * tenths} % of its life")
    swaps = [line.split()[0] for line in machine.text("proc/swaps").splitlines()[1:] if line.strip()]
    if disks := [name for name in swaps if not name.startswith("/dev/zram")]:
        text = f"memory is swapped to {', '.join(disks)[:100]}, which wears a card and stalls"
        yield Finding("wear", NOTE, text, "sudo swapoff -a, and take the line out of /etc/fstab; or use zram")


def _inside(machine: Machine, path: os.PathLike[str]) -> str:
    return os.path.relpath(path, machine.root)
