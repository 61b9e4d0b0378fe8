"""Every change of a root file system on the way to a board, one small step each, and never outside of it."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edge.errors import EdgeError
from edge.system.atomic_write import hidden_name


class Writes:
    """Changes below ``root``; paths are relative to it. Each raises OSError, and EdgeError for a way out.

    ``step`` hears of each change before it is made. Tests raise in it, as an interrupt or a full disk would.
    """

    def __init__(self, root: Path, step: Callable[[str], None] = lambda what: None) -> None:
        self.root, self.step = root, step
        self._real = os.path.realpath(root)

    def at(self, path: str) -> Path:
        """Where a path lies here. An absolute link within the root would lead to this machine: EdgeError."""
        place = self.root / path
        if path == ".":
            return place
        above = os.path.realpath(place.parent)
        if above != self._real and not above.startswith(f"{self._real}/"):
            raise EdgeError(f"{place} lies behind a link to {above}, outside the root; replace that link")
        return place

    def file(self, path: str, data: bytes, mode: int, uid: int = 0, gid: int = 0) -> None:
        """A whole file, which gets its name at the end; folders above it are made, root's and mode 0755."""
        place = self._ready(path)
        self.step(f"write {path}")
        part = hidden_name(place, "emotion-edge.part")
        with suppress(FileNotFoundError):
            part.unlink()
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o600)) as file:
            file.write(data)
            os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        self.step(f"name {path}")
        os.replace(part, place)

    def folder(self, path: str, mode: int, uid: int = 0, gid: int = 0) -> None:
        """A folder with that mode and owner, whether it was there or not."""
        place = self._ready(path)
        self.step(f"make {path}")
        if not place.is_dir() or place.is_symlink():
            self._gone(place)
            place.mkdir(mode)
        os.chown(place, uid, gid)
        place.chmod(mode)

    def link(self, path: str, target: str, uid: int = 0, gid: int = 0) -> None:
        """A symbolic link; whatever has its name goes."""
        place = self._ready(path)
        self.step(f"link {path}")
        part = hidden_name(place, "emotion-edge.part")
        with suppress(FileNotFoundError):
            part.unlink()
        part.symlink_to(target)
        os.chown(part, uid, gid, follow_symlinks=False)
        if place.is_dir() and not place.is_symlink():
            self._gone(place)
        os.replace(part, place)

    def move(self, kept: str, path: str) -> None:
        """A kept file to where it was: needs no space, and is done or not done."""
        place = self._ready(path)
        self.step(f"move {path}")
        if place.is_dir() and not place.is_symlink():
            self._gone(place)
        os.replace(self.at(kept), place)

    def remove(self, path: str) -> None:
        """A file, a link or a whole folder; nothing if it is not there."""
        self.step(f"remove {path}")
        self._gone(self.at(path))

    def time(self, path: str, mtime_ns: int) -> None:
        """The time of a last change."""
        place = self.at(path)
        with suppress(FileNotFoundError):
            os.utime(place, ns=(place.lstat().st_atime_ns, mtime_ns), follow_symlinks=False)

    def to_disk(self) -> None:
        """Wait until all of this file system is on disk: syncfs(2). Raises OSError, as a full disk does."""
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor):
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code), str(self.root))
        finally:
            os.close(descriptor)

    def _ready(self, path: str) -> Path:
        place = self.at(path)
        missing = [folder for folder in place.parents if not os.path.lexists(folder)]
        for folder in reversed(missing):
            self.step(f"make {folder}")
            folder.mkdir(0o755)
            folder.chmod(0o755)  # whatever the umask
        return place

    def _gone(self, place: Path) -> None:
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            with suppress(FileNotFoundError):
                place.unlink()
