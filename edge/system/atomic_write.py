"""Whole files: written beside their place, synced, and only then given their name."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from edge.errors import EdgeError

_LONGEST = 255  # bytes of a file name, in every file system of Linux


def hidden_name(path: Path, ending: str) -> Path:
    """``.NAME.ending`` beside ``path``; a long name is cut."""
    name = os.fsencode(path.name)[: _LONGEST - len(ending) - 2]
    return path.with_name(f".{os.fsdecode(name)}.{ending}")


def new_part(path: Path, mode: int = 0o666) -> BinaryIO:
    """A new file beside ``path`` to write and read, under a name of its own; nothing there is opened.

    ``mode`` as in open(2), before the umask. Raises OSError.
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW, mode)

    while True:
        with suppress(FileExistsError):
            part = hidden_name(path, f"{secrets.token_hex(4)}.part")
            return open(part, "x+b", opener=opener)


def put_in_place(file: BinaryIO, path: Path) -> None:
    """Sync and close a part and give it the name ``path``, which survives a power cut. Raises OSError."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
    os.replace(file.name, path)
    with suppress(OSError):  # some file systems cannot sync a folder
        sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file or the names of a folder are on disk. Raises OSError, as a full disk does."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def drop_part(file: BinaryIO) -> None:
    """Close a part and remove it; one that is gone or in its place already is left alone."""
    with suppress(OSError):
        file.close()
    with suppress(OSError):
        os.unlink(file.name)


def atomic_write(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file of the program's own, such as its cache; ``mode`` as in open(2), before the umask.

    Raises EdgeError. What a user names as an output is written by ``output_file.OutputFile``.
    """
    try:
        file = new_part(path, mode)
        try:
            file.write(content)
            put_in_place(file, path)
        finally:
            drop_part(file)
    except OSError as error:
        raise EdgeError(
            f"cannot write {path} ({error.strerror}); free space or choose another folder"
        ) from error
