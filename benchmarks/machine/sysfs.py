"""Reading what a machine tells of itself: small files of sysfs and a Raspberry Pi's firmware.

Nothing here raises: what is missing, switched off or for root alone is None, and what is odd is no number.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

Run = Callable[[str], str | None]  # asks vcgencmd for one thing; None where it cannot tell


def vcgencmd(what: str) -> str | None:
    """The answer of a Raspberry Pi's firmware; None where it gives none (a user outside group video)."""
    try:
        done = subprocess.run(["vcgencmd", what], capture_output=True, timeout=2, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace")


def text(path: Path, most: int = 256) -> str | None:
    """What a small file says, without the NUL of a device tree; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(most).decode("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:  # missing, for root alone, or a part that is switched off (ENODATA, EAGAIN)
        return None


def number(path: Path, per: float = 1.0) -> float | None:
    """The integer in a file of sysfs over ``per``; None for anything else."""
    found = re.fullmatch(r"-?\d{1,20}", text(path, 40) or "")  # as long as the kernel's longest
    return int(found[0]) / per if found else None


def hwmon(root: Path, chip: str) -> list[Path]:
    """Folders of all chips of one name; their numbers change from boot to boot."""
    places = sorted((root / "sys/class/hwmon").glob("hwmon*"))
    return [place for place in places if text(place / "name") == chip]


def plain(label: str) -> str:
    """A label as a name: lower case, words joined by underscores."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower())[:40].strip("_") or "unnamed"


def distinct(names: Iterable[str]) -> list[str]:
    """The names in order, those that come again with a number in front of their unit: acpitz_2_c."""
    given: list[str] = []
    for name in names:
        stem, _, unit = name.rpartition("_")
        count, fresh = 1, name
        while fresh in given:
            count += 1
            fresh = f"{stem}_{count}_{unit}"
        given.append(fresh)
    return given
