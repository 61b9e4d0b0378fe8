"""The board files of a Jetson's tree: which modules a board takes, and what it starts from.

A board file is shell. It is never run here: its chain of ``source`` lines is followed, and plain assignments
are read. What is indented stands in a function or waits for a variable such as ROOTFS_AB, and does not count.
The public name is a link; in copies by zip it is a file that holds the name of its target.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from pathlib import Path

from edge.deploy.flash.l4t_release import Release
from edge.deploy.flash.tree_text import text
from edge.errors import ConfigError

_SOURCE = re.compile(r'^\s*(?:source|\.)\s+"?(?:\$\{?LDK_DIR\}?/)?([\w.+-]+)"?', re.MULTILINE)
_VALUE = re.compile(r'^([A-Z_]+)="?([^"\s;$]*)"?;?\s*(?:#.*)?$', re.MULTILINE)
_PRODUCT = re.compile(r"^(\w+)=\$\(\( *(\d{1,9}(?: *\* *\d{1,9}){0,5}) *\)\)", re.MULTILINE)
_REFERENCE = re.compile(r'^([A-Z_]+)="?\$\{(\w+)\}"?;?\s*$', re.MULTILINE)
_TARGET = re.compile(r"[\w.+-]+\.conf")
_LONGEST = 16  # files of a chain
# Which module stands on the board is told by the last file of the chain that names one.
ORIN_NANO, AGX_ORIN, THOR, T4000 = "Orin Nano or NX", "AGX Orin", "AGX Thor", "Thor T4000"
_THOR_ONLY = 38  # R38: Orin's files are in its tree, but NVIDIA points Orin to R36


@dataclass(frozen=True)
class Board:
    """A board of a tree."""

    name: str  # as the flasher takes it
    family: str  # of its modules
    values: dict[str, str]  # of its files' plain assignments
    files: tuple[str, ...]  # of its chain, the first is NAME.conf


def read(tree: Path, name: str, release: Release) -> Board:
    """The board of that name.

    Raises:
        ConfigError: no such board, a missing file of its chain, another release's board, or one that has no
            root file system.
    """
    if not re.fullmatch(r"[\w.+-]+", name, re.ASCII) or name.endswith(".conf"):
        raise ConfigError(
            f"--board is {name!r:.60}, expected a name such as jetson-orin-nano-devkit; "
            "name a board file of the tree without its folder and without .conf"
        )
    files, texts = _chain(tree, name)
    joined = "\n".join(reversed(texts))  # what a file sources comes before what it says itself
    board = Board(name, _family(tree, files), _values(joined), tuple(files))
    if not board.family:
        raise ConfigError(
            f"--board {name} is for no Orin and no Thor ({', '.join(files)}); kits are for those modules"
        )
    if release.major == _THOR_ONLY and board.family not in (THOR, T4000):
        raise ConfigError(
            f"--board {name} is an {board.family}, but {release} is for Thor only, although its tree holds "
            "Orin's files; take R36.4 or R39"
        )
    if board.values.get("NO_ROOTFS") == "1":
        raise ConfigError(
            f"--board {name} writes no root file system (NO_ROOTFS=1 in {files[0]}); name the board without "
            "-qspi"
        )
    return board


def names(tree: Path) -> list[str]:
    """The boards of a tree by their public names."""
    return sorted(path.stem for path in tree.glob("*.conf") if re.match(r"jetson-|igx-", path.name))


def _chain(tree: Path, name: str) -> tuple[list[str], list[str]]:
    waiting, files, texts = [f"{name}.conf"], list[str](), list[str]()
    while waiting and len(files) < _LONGEST:
        file = waiting.pop(0)
        said = text(tree / file, follow=True)
        if not said.strip():
            raise _missing(tree, name, file, files)
        files.append(file)
        if _TARGET.fullmatch(said.strip()):  # a link that a copy has made a file of
            waiting.insert(0, said.strip())
            continue
        texts.append(said)
        waiting += [found for found in _SOURCE.findall(said) if found not in (*files, *waiting)]
    return files, texts


def _values(said: str) -> dict[str, str]:
    """Plain words, and products that another line refers to, as sizes are written from R38 on."""
    products = {name: math.prod(map(int, factors.split("*"))) for name, factors in _PRODUCT.findall(said)}
    referred = {name: str(products[to]) for name, to in _REFERENCE.findall(said) if to in products}
    return {**dict(_VALUE.findall(said)), **referred}


def _missing(tree: Path, name: str, file: str, files: list[str]) -> ConfigError:
    link = tree / file
    if link.is_symlink():
        return ConfigError(
            f"{link} leads to {link.readlink()}, which is missing or empty; unpack NVIDIA's package again"
        )
    if files:
        return ConfigError(
            f"{file} is missing or empty, which {files[-1]} of --board {name} reads; unpack NVIDIA's driver "
            "package again"
        )
    near = difflib.get_close_matches(name, names(tree), 4, 0.5) or names(tree)[:4]
    told = ", ".join(near) or "none, for the tree is not whole"
    return ConfigError(f"--board is {name}, but {tree} has no {file}; name one that it has: {told}")


def _family(tree: Path, files: list[str]) -> str:
    if "p3767.conf.common" in files:
        return ORIN_NANO
    if "p3701.conf.common" in files or "p3737-0000-p3701-0000.conf.common" in files:
        return AGX_ORIN
    if "t264.conf.common" in files:
        real = (tree / files[0]).resolve().name
        return T4000 if "p3834-0000" in " ".join([real, *files]) else THOR
    return ""
