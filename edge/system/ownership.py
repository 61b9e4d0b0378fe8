"""Files of the program's own that are read back, such as its cache: only this user may have written them.

A file or folder is believed if this user owns it and neither the group nor others may write to it. That is
judged on what was opened, so that nothing can be exchanged in between. Root trusts no user's files either.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edge.errors import EdgeError, reason
from edge.system.atomic_write import atomic_write
from edge.system.checked_file import FileRefused, open_checked, read_most

RECORD_BYTES = 65_536
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def own_folder(path: Path) -> Iterator[Path]:
    """A name for the very folder that was judged, valid within the block.

    A link to it counts only if this user or root made it: another one could lead writing elsewhere. Raises
    OSError if it cannot be opened, FileRefused if another user can write there.
    """
    _refuse_planted_link(path)
    descriptor = os.open(path, _FOLDER)
    try:
        _refuse_strangers(os.fstat(descriptor))
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def open_own(path: Path, most_bytes: int = RECORD_BYTES) -> BinaryIO:
    """Open a regular file of this user's own, in a folder of its own; never a link. Raises FileRefused."""
    try:
        with own_folder(path.parent) as folder:
            file = open_checked(folder / path.name, most_bytes)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise FileRefused(f"cannot be read ({reason(error)})") from error
    try:
        _refuse_strangers(os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def read_own(path: Path, most_bytes: int = RECORD_BYTES) -> bytes:
    """The content of a file of this user's own, in a folder of its own. Raises FileRefused."""
    with open_own(path, most_bytes) as file:
        return read_most(file, most_bytes)


def write_own(path: Path, content: bytes) -> None:
    """Write a file that only this user can read, in a folder of its own, which is made if it is missing.

    Whatever stands in its place is replaced, but for a folder. Raises EdgeError.
    """
    try:
        make_own_folder(path.parent)
        with own_folder(path.parent) as folder:
            atomic_write(folder / path.name, content, 0o600)
    except FileRefused as error:
        raise EdgeError(f"{path.parent} {error}; {fix(path.parent)}") from error
    except (OSError, ValueError) as error:
        raise EdgeError(f"cannot make {path.parent} ({reason(error)}); choose another folder") from error
    except EdgeError as error:
        why = reason(error.__cause__ or error)
        raise EdgeError(f"cannot write {path} ({why}); free space or choose another folder") from error


def make_own_folder(path: Path, mode: int = 0o700) -> None:
    """Make a folder and those above it, for this user alone; one that exists stays as it is.

    A umask of 002 does not count, since other users could write there. Raises OSError, and FileRefused
    instead of making one where a stranger's link leads.
    """
    missing = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
    if missing:
        _refuse_planted_link(missing[-1].parent)
    for folder in reversed(missing):
        with suppress(FileExistsError):  # by another process of this user's
            os.mkdir(folder, mode)


def refuse_strangers_above(path: Path) -> None:
    """Raise FileRefused if another user could put another folder in the place of ``path``.

    For folders that are given to a library by their name. With the sticky bit, as /tmp has it, each user
    renames only its own folders.
    """
    for above in Path(os.path.realpath(path)).parents:
        status = os.stat(above)
        exchangeable = status.st_mode & _OTHERS_WRITE and not status.st_mode & stat.S_ISVTX
        if exchangeable or status.st_uid not in (0, os.geteuid()):
            raise FileRefused(f"is in {above}, where other users may write")


def refuse_strangers_within(path: Path) -> None:
    """Raise FileRefused if anything in a folder is a link or not this user's own. Raises OSError.

    A library's files have modes by the umask, which count only where others can get into the folder.
    """
    closed = not os.stat(path).st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            status = os.lstat(os.path.join(folder, name))
            if stat.S_ISLNK(status.st_mode):
                raise FileRefused("is a link")
            _refuse_strangers(status, closed)


def fix(folder: Path, otherwise: str = "choose a folder of your own") -> str:
    """What a user does about a folder that is not believed."""
    with suppress(OSError, FileRefused):
        _refuse_planted_link(folder)  # behind a stranger's link, no mode of ours helps
        if os.stat(folder).st_uid == os.geteuid():
            return f"run: chmod 700 {folder}"
    return otherwise


def _refuse_planted_link(path: Path) -> None:
    link = os.lstat(path)
    if stat.S_ISLNK(link.st_mode) and link.st_uid not in (0, os.geteuid()):
        raise FileRefused(f"is a link that user {link.st_uid} made")


def _refuse_strangers(status: os.stat_result, closed: bool = False) -> None:
    if status.st_uid != os.geteuid():
        raise FileRefused(f"belongs to user {status.st_uid}")
    if status.st_mode & _OTHERS_WRITE and not closed:
        raise FileRefused("is writable by other users")
