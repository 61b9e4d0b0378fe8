"""The files of a package, in a folder that is the root of the board; nothing depends on who makes it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path


def put(root: Path, path: str, data: bytes, mode: int = 0o644) -> None:
    """Write one file of the board, ``path`` without the first slash, whatever the umask is."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    file.chmod(mode)


def link(root: Path, path: str, target: str) -> None:
    """A symbolic link of the board."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to(target)


def settle(root: Path, plain: Path, epoch: int) -> None:
    """Give every file the time ``epoch``, every folder mode 0755, and the files in ``plain`` mode 0644."""
    for path in [*entries(root), root]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
        elif not path.is_symlink() and plain in path.parents:
            path.chmod(0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def entries(root: Path) -> list[Path]:
    """All files, links and folders below ``root``, sorted by their names as bytes."""
    found = [Path(folder) / name for folder, names, files in os.walk(root) for name in (*names, *files)]
    return sorted(found, key=os.fsencode)


def listing(root: Path) -> Iterator[str]:
    """A line for each: mode, owner, path as on the board."""
    for path in entries(root):
        status = path.lstat()
        end = f" -> {os.readlink(path)}" if path.is_symlink() else "/" if path.is_dir() else ""
        yield f"{stat.filemode(status.st_mode)} root:root /{path.relative_to(root)}{end}"


def kilobytes(root: Path) -> int:
    """What it takes on a disk, as `dpkg-gencontrol` counts: each file rounded up, 1 for all else."""
    return sum(
        -(-path.lstat().st_size // 1024) if path.is_file() and not path.is_symlink() else 1
        for path in entries(root)
    )


def md5sums(root: Path, without: frozenset[str]) -> str:
    """The lines that `dpkg --verify` compares; conffiles are not among them."""
    files = [path for path in entries(root) if path.is_file() and not path.is_symlink()]
    rows = [(path.relative_to(root).as_posix(), path) for path in files]
    return "".join(
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {name}\n"
        for name, path in rows
        if name not in without
    )
