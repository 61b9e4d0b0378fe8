"""Files that are read whole: regular ones of a bounded size, never a pipe, a device or a link."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from edge.errors import reason
from edge.system.hashing import digest

_CHUNK_BYTES = 1 << 20
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class FileRefused(Exception):
    """A file that is not read; the message says why, without its name: "is a named pipe, ..."."""


def open_checked(path: Path | str, most_bytes: int, follow: bool = False) -> BinaryIO:
    """Open a regular file of at most ``most_bytes``, unbuffered; ``follow`` allows a link.

    Raises FileRefused.
    """
    try:
        return open_after(path, lambda status: _check(status, most_bytes), follow)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise FileRefused(f"cannot be read ({reason(error)})") from error


def open_after(path: Path | str, check: Callable[[os.stat_result], None], follow: bool = False) -> BinaryIO:
    """Open what ``check`` lets pass, unbuffered, without waiting; ``follow`` allows a link.

    Raises what ``check`` raises, OSError, and ValueError for a zero byte in the name.
    """
    # Looking first: opening a device can have effects, and opening a pipe waits for its writer.
    check(os.stat(path, follow_symlinks=follow))
    descriptor = os.open(path, _FLAGS if follow else _FLAGS | os.O_NOFOLLOW)
    try:
        check(os.fstat(descriptor))  # it may have been exchanged in between
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb", buffering=0)


def read_checked(path: Path | str, most_bytes: int, follow: bool = False) -> bytes:
    """The content of a regular file of at most ``most_bytes``; ``follow`` allows a link.

    Raises FileRefused.
    """
    with open_checked(path, most_bytes, follow) as file:
        return read_most(file, most_bytes)


def hash_checked(path: Path | str, most_bytes: int, follow: bool = False) -> str:
    """SHA-256 of a regular file of at most ``most_bytes``, 64 hex digits. Raises FileRefused."""
    with open_checked(path, most_bytes, follow) as file:
        try:
            return digest(file)
        except OSError as error:
            raise FileRefused(f"cannot be read ({reason(error)})") from error


def read_most(file: BinaryIO, most_bytes: int) -> bytes:
    """The rest of an open file, which may not be longer than ``most_bytes``. Raises FileRefused."""
    chunks, left = [], most_bytes + 1
    while left and (chunk := _read(file, min(left, _CHUNK_BYTES))):
        chunks.append(chunk)
        left -= len(chunk)
    if not left:
        raise FileRefused(f"grows beyond {most_bytes:,} bytes while it is read")
    return b"".join(chunks)


def _read(file: BinaryIO, size: int) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise FileRefused(f"cannot be read ({reason(error)})") from error


def _check(status: os.stat_result, most_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise FileRefused(f"is {_kind(status.st_mode)}, expected a regular file")
    if status.st_size > most_bytes:
        raise FileRefused(f"has {status.st_size:,} bytes, at most {most_bytes:,} are read")


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
    }  # fmt: skip
    return kinds.get(stat.S_IFMT(mode), "a device")
