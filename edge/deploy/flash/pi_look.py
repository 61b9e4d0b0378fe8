"""What an image of Raspberry Pi OS holds, read by mtools and debugfs: no mount, no root."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge.deploy.flash import pi_table
from edge.deploy.flash.pi_table import Partition
from edge.deploy.kit.programs import Programs, need
from edge.errors import ConfigError

MTOOLS = "sudo apt install mtools"
_E2FSPROGS = "sudo apt install e2fsprogs"
QUIET = {"MTOOLSRC": "/dev/null", "MTOOLS_SKIP_CHECK": "1"}  # no settings of the user, no rules of MS-DOS
IMAGE = "image"  # a link in the working folder: mtools and debugfs give signs of a path a meaning
_TEXTS = ("cmdline.txt", "user-data", "issue.txt", "rpi-preseed.toml")


@dataclass(frozen=True)
class Installed:
    """A package of the image."""

    version: str
    arch: str
    provides: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """An image, as far as a kit is concerned."""

    boot: Partition
    root: Partition
    names: frozenset[str]  # on the boot partition, its top folder
    texts: Mapping[str, str]  # of those among _TEXTS that are there
    codename: str  # such as "trixie"; "" if the root says none
    packages: Mapping[str, Installed]
    machine_id: str
    free: int  # bytes of the boot partition
    cluster: int  # bytes that its smallest file takes

    @property
    def arch(self) -> str:
        """As Debian calls it; "" without a dpkg."""
        return self.packages["dpkg"].arch if "dpkg" in self.packages else ""


def ready() -> None:
    """DependencyError without the programs; before work that would be for nothing."""
    for name, install in (("mdir", MTOOLS), ("debugfs", _E2FSPROGS), ("dpkg-deb", "sudo apt install dpkg")):
        need(name, install)


def look(file: BinaryIO, size: int, folder: Path, programs: Programs) -> Seen:
    """What the image ``file`` holds; ``folder`` has a link to it by the name IMAGE.

    ConfigError without a table, without both partitions, or with file systems that cannot be read.
    """
    boot, root = _both(pi_table.read(file, size))
    at = f"{IMAGE}@@{boot.start}"
    names = _names(at, folder, programs)
    texts = {
        name: programs.run(["mtype", "-i", at, f"::/{name}"], MTOOLS, QUIET, folder)
        for name in _TEXTS
        if name in names
    }
    packages = _packages(_cat(root, "/var/lib/dpkg/status", folder, programs))
    return Seen(
        boot,
        root,
        names,
        texts,
        _codename(_cat(root, "/usr/lib/os-release", folder, programs)),
        packages,
        _cat(root, "/etc/machine-id", folder, programs).strip(),
        free(at, folder, programs),
        _cluster(file, boot),
    )


def free(at: str, folder: Path, programs: Programs) -> int:
    """Free bytes of a FAT file system, as mdir says in its last line."""
    said = programs.run(["mdir", "-i", at, "::/"], MTOOLS, QUIET, folder)
    match = re.search(r"([\d ]+) bytes free", said)
    return int(match[1].replace(" ", "")) if match else 0


def _both(found: Sequence[Partition]) -> tuple[Partition, Partition]:
    boot = next((partition for partition in found if partition.kind == "fat"), None)
    root = next((partition for partition in found if partition.kind == "linux"), None)
    if boot is None or root is None:
        kinds = ", ".join(partition.kind for partition in found)
        raise ConfigError(
            f"has partitions of the kinds {kinds}, expected fat and linux; give the image of Raspberry Pi OS"
        )
    return boot, root


def _names(at: str, folder: Path, programs: Programs) -> frozenset[str]:
    said = programs.run(["mdir", "-b", "-i", at, "::/"], MTOOLS, QUIET, folder)
    return frozenset(line.removeprefix("::/").rstrip("/") for line in said.splitlines() if line)


def _cat(root: Partition, path: str, folder: Path, programs: Programs) -> str:
    words = ["debugfs", "-R", f"cat {path}", f"{IMAGE}?offset={root.start}"]
    return programs.run(words, _E2FSPROGS, cwd=folder)


def _codename(release: str) -> str:
    match = re.search(r"^VERSION_CODENAME=\"?([a-z]+)", release, re.MULTILINE)
    return match[1] if match else ""


def _packages(status: str) -> dict[str, Installed]:
    """Those that are unpacked and configured, see dpkg-query(1)."""
    found = {}
    for paragraph in status.split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in paragraph.splitlines() if line[:1].isalpha())
        if fields.get("Status", "").endswith(" ok installed"):
            provided = tuple(re.findall(r"(?:^|, )([a-z0-9][a-z0-9+.-]+)", fields.get("Provides", "")))
            found[fields.get("Package", "")] = Installed(
                fields.get("Version", ""), fields.get("Architecture", ""), provided
            )
    return found


def _cluster(file: BinaryIO, boot: Partition) -> int:
    file.seek(boot.start)
    sector, count = struct.unpack_from("<HB", file.read(64), 11)
    return int(sector * count)
