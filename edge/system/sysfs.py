"""Readers for small sysfs files and a Raspberry Pi's firmware.

Nothing here raises: a value that is missing, switched off, malformed or readable by root alone is None.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

Run = Callable[[str], str | None]  # one vcgencmd query; None without an answer


def vcgencmd(query: str) -> str | None:
    """Query a Raspberry Pi's firmware; None without an answer, as for a user outside group video."""
    try:
        completed = subprocess.run(["vcgencmd", query], capture_output=True, timeout=2, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return completed.stdout.decode("utf-8", "replace")


def text(path: Path, most: int = 256) -> str | None:
    """Content of a small file, without a device tree's trailing NUL; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(most).decode("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:  # missing, root only, or a component that is switched off (ENODATA, EAGAIN)
        return None


def number(path: Path, per: float = 1.0) -> float | None:
    """The integer in a sysfs file divided by ``per``; None for anything else."""
    match = re.fullmatch(r"-?\d{1,20}", text(path, 40) or "")  # the kernel's longest
    return int(match[0]) / per if match else None


def hwmon(root: Path, chip: str) -> list[Path]:
    """Folders of all chips with this name; their numbers change from boot to boot."""
    folders = sorted((root / "sys/class/hwmon").glob("hwmon*"))
    return [folder for folder in folders if text(folder / "name") == chip]


def identifier(label: str) -> str:
    """A label as a key: lower case, words joined by underscores."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower())[:40].strip("_") or "unnamed"


def distinct(names: Iterable[str]) -> list[str]:
    """The names in order; a repeated one gets a number in front of its unit: acpitz_2_c."""
    unique: list[str] = []
    for name in names:
        stem, _, unit = name.rpartition("_")
        count, candidate = 1, name
        while candidate in unique:
            count += 1
            candidate = f"{stem}_{count}_{unit}"
        unique.append(candidate)
    return unique
