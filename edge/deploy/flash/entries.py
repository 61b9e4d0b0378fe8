"""What stands at a path of a root file system: kind, owner, mode and content, so that it can be compared."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge.system.hashing import sha256

Entry = Mapping[str, Any]  # JSON
ABSENT: Entry = {"kind": "absent"}


def look(path: Path, content: bool = True) -> Entry:
    """The entry at ``path``; without ``content``, size and time stand for that of a file. Raises OSError."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    owned = {"uid": status.st_uid, "gid": status.st_gid, "mtime_ns": status.st_mtime_ns}
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return {"kind": "link", **owned, "target": os.readlink(path)}
    if stat.S_ISDIR(status.st_mode):
        return {"kind": "folder", **owned, "mode": mode}
    if not stat.S_ISREG(status.st_mode):
        return {"kind": "other", **owned, "mode": mode}
    told = sha256(path) if content else f"{status.st_size} bytes at {status.st_mtime_ns}"
    return {"kind": "file", **owned, "mode": mode, "content": told}


def same(one: Entry, other: Entry) -> bool:
    """Whether two entries are equal to the byte; the time of the last change does not count."""
    names = (set(one) | set(other)) - {"mtime_ns", "copy", "inside"}
    return all(one.get(name) == other.get(name) for name in names)


def below(folder: Path) -> Iterator[str]:
    """Paths of all that a folder holds, relative to it; links are not followed."""
    for name in sorted(os.listdir(folder)):
        yield name
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            yield from (f"{name}/{inner}" for inner in below(path))


def inside(folder: Path) -> str:
    """A hash of names, sizes and times below a folder, "" for none."""
    if folder.is_symlink() or not folder.is_dir():
        return ""
    state = hashlib.sha256()
    for name in below(folder):
        status = (folder / name).lstat()
        size, time_ns = (0, 0) if stat.S_ISDIR(status.st_mode) else (status.st_size, status.st_mtime_ns)
        state.update(f"{name}\0{status.st_mode}\0{size}\0{time_ns}\n".encode("utf-8", "surrogateescape"))
    return state.hexdigest()
