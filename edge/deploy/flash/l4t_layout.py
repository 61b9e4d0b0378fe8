"""How large a disk a partition layout of NVIDIA's wants.

Up to R35 ``num_sectors`` is a number. From R36 on it is a word that flash.sh replaces: by the variable of
that name, else (R36) by a constant, else (R38, R39) by a size that the board's file gives.
"""

from __future__ import annotations

import re
from pathlib import Path

from edge.deploy.flash.l4t_board import T4000, THOR, Board
from edge.deploy.flash.l4t_release import Release
from edge.deploy.flash.tree_text import text
from edge.errors import ConfigError

_SIZES = {"EXT_NUM_SECTORS": "EXT_STORAGE_SIZE", "INT_NUM_SECTORS": "INT_STORAGE_SIZE"}
_R36_SECTORS = 119_537_664  # 57 GiB: flash.sh of R36.2, and both sizes in the board files of R39.2
_THOR_BYTES = 234 << 30  # t264.conf.common of R39.2, the external disk
_UNITS = {"": 1, **{f"{p}B": 1000**n for n, p in enumerate("KMGT", 1)},
          **{f"{p}iB": 1024**n for n, p in enumerate("KMGT", 1)}}  # fmt: skip
_GIB = 1 << 30
_DEVICES = r"(?:external|nvme|sdcard|sdmmc_user|ufs)"


def disk_bytes(tree: Path, layout: str, board: Board, release: Release) -> int:
    """Bytes that the disk must have for ``layout``, a path in the tree.

    Raises:
        ConfigError: no such file, or no size in it.
    """
    said = text(tree / layout, follow=True)
    if not said:
        raise ConfigError(f"{tree / layout} is missing; unpack NVIDIA's driver package again")
    for tag in re.findall(r"<device\s[^>]*>", said):
        if re.search(rf'type="{_DEVICES}"', tag):
            return _size(tree / layout, tag, board, release)
    raise ConfigError(f"{tree / layout} has no disk in it; unpack NVIDIA's driver package again")


def _size(path: Path, tag: str, board: Board, release: Release) -> int:
    found = dict(re.findall(r'(sector_size|num_sectors)="([^"]+)"', tag))
    sectors, sector = found.get("num_sectors", ""), found.get("sector_size", "512")
    if sectors.isdecimal() and sector.isdecimal():
        return int(sectors) * int(sector)
    if release.major >= 36 and sectors in _SIZES:
        given = board.values.get(_SIZES[sectors], "")
        if given and release.major > 36:
            return size(given, f"{_SIZES[sectors]} of {board.files[0]}")
        outside = sectors.startswith("EXT") and release.major > 36
        return _THOR_BYTES if outside and board.family in (THOR, T4000) else _R36_SECTORS * 512
    raise ConfigError(
        f"{path} has num_sectors {sectors!r:.40}, expected "
        f"{'a number' if release.major < 36 else ' or '.join(_SIZES)} in {release}; unpack NVIDIA's driver "
        "package again"
    )


def size(said: str, option: str = "a size in the board's file") -> int:
    """Bytes of ``64GB``, ``59.5GiB`` or ``64000000000``; ConfigError for anything else."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,3})?)\s?([KMGT]i?B|)", said.strip())
    if not match or float(match[1]) == 0:
        raise ConfigError(f"{option} is {said!r:.40}, expected one such as 64GB; write what stands on it")
    return int(float(match[1]) * _UNITS[match[2]])


def told(count: int) -> str:
    """Such as "57.0 GiB"."""
    return f"{count / _GIB:.1f} GiB"
