"""Text that a user hands over, in a file or a pipe: bounded in size and in time."""

from __future__ import annotations

import os
import select
import stat
import time
from pathlib import Path

from edge.errors import reason
from edge.system.checked_file import FileRefused

_CHUNK_BYTES = 1 << 16


def read_waited(path: Path | str, most_bytes: int, patience_s: float) -> bytes:
    """The content of a file, or what comes through a pipe within ``patience_s`` seconds; links are followed.

    A pipe may be one of a shell, ``<(...)``, ``/dev/stdin``, or a named one. An ending signal ends the wait.
    Raises FileRefused, whose message says why without the name: for a device, more than ``most_bytes``, a
    pipe that stays open.
    """
    try:
        _check(os.stat(path))  # before it is opened, which can have effects on a device
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            _check(os.fstat(descriptor))
            return _read(descriptor, most_bytes, patience_s)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise FileRefused(f"cannot be read ({reason(error)})") from error


def _check(status: os.stat_result) -> None:
    mode = status.st_mode
    empty = stat.S_ISCHR(mode) and status.st_rdev == os.stat(os.devnull).st_rdev
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or empty):
        kind = "a folder" if stat.S_ISDIR(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise FileRefused(f"is {kind}, expected a file or a pipe")


def _read(descriptor: int, most_bytes: int, patience_s: float) -> bytes:
    until_s = time.monotonic() + patience_s
    arrived = select.poll()
    arrived.register(descriptor, select.POLLIN)  # and the end of a pipe, but not before it had a writer
    chunks: list[bytes] = []
    left = most_bytes + 1
    while left:
        if not arrived.poll(max(until_s - time.monotonic(), 0) * 1000):
            raise FileRefused(f"is a pipe that was not written to its end within {patience_s:g} s")
        chunk = os.read(descriptor, min(left, _CHUNK_BYTES))
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        left -= len(chunk)
    raise FileRefused(f"has more than {most_bytes:,} bytes")
