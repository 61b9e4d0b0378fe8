"""A file that is read, whatever its name is; never a pipe, a device or the network."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO

from edge.errors import SourceError
from edge.system import signals
from edge.system.checked_file import open_after
from edge.system.closing import Closing
from edge.system.one_line import one_line


def shown(path: str | Path) -> str:
    """A path for messages: bytes that are no UTF-8 are written as ``\\xe9``, a line break as ``\\n``."""
    return one_line(os.fsencode(path).decode("utf-8", "backslashreplace"))


def open_regular(path: str | Path) -> IO[bytes]:
    """Open a regular file for reading, unbuffered; SourceError says what else ``path`` is."""
    name = shown(path)
    try:
        return open_after(path, lambda status: _check(status, name), follow=True)
    except FileNotFoundError:
        raise SourceError(
            f"video {name} does not exist; check the path (working folder: {shown(Path.cwd())})"
        ) from None
    except PermissionError:
        raise SourceError(f"video {name} is not readable by this user; run: chmod +r {name}") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"video {name} cannot be opened ({reason}); check the path and the disk") from None


def _check(status: os.stat_result, name: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(f"{name} is a folder, not a video; give a video file")
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{name} is {_kind(status.st_mode)}, not a video file; give a regular file")
    if status.st_size == 0:
        raise SourceError(f"video {name} is empty (0 bytes); copy or record it again")


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


class WatchedFile(Closing):
    """A regular file for a library that reads through it; remembers the first fault of the storage.

    Libraries take a fault for the end of the file, or go on behind it.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = open_regular(path)
        self.size = os.fstat(self._file.fileno()).st_size  # bytes
        self.fault: OSError | None = None

    @signals.callback
    def read(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer at the end."""
        try:
            return self._file.read(size)
        except OSError as error:
            self.fault = self.fault or error
            raise

    @signals.callback
    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to ``offset`` bytes from the start (0), from here (1) or from the end (2)."""
        return self._file.seek(offset, whence)

    @signals.callback
    def tell(self) -> int:
        """The position in bytes."""
        return self._file.tell()

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes at ``offset``, without moving the position."""
        return os.pread(self._file.fileno(), size, offset)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
