"""Writes into an image so that it is never half written without a name for that state.

A copy gets its name when it is complete; what is changed in place goes by ``pi_journal``.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from edge.errors import ConfigError, EdgeError
from edge.system.atomic_write import drop_part, new_part, put_in_place

BLOCK = 1 << 16
_STEP = 1 << 20
_CLONE = 0x40049409  # FICLONE of ioctl_ficlonerange(2): btrfs, XFS
Change = tuple[int, bytes]  # where in the image, and what stands there afterwards
Write = Callable[[int, bytes, int], int]  # os.pwrite, or what a test has in its place


def cut_out(image: BinaryIO, start: int, size: int, path: Path) -> None:
    """Copy ``size`` bytes of the image from ``start`` on into the new file ``path``; zeros take no space."""
    with path.open("xb") as part:
        _copy(image, start, size, part)


def changes(image: BinaryIO, start: int, part: BinaryIO) -> Iterator[Change]:
    """The blocks in which ``part`` differs from the image from ``start`` on."""
    place = 0
    while block := _at(part, place, BLOCK):
        if block != _at(image, start + place, len(block)):
            yield start + place, block
        place += len(block)


def copy(
    image: BinaryIO,
    out: Path,
    changed: Iterable[Change],
    folder: Path,
    private: bool,
    write: Write = os.pwrite,
) -> None:
    """Write the image with the changes as ``out``, of mode 0600 if it is ``private``, by way of ``folder``.

    EdgeError if there is no room, or the folder cannot be written: then nothing of that name is there.
    """
    try:
        part = new_part(folder / "copy", 0o600 if private else 0o666)
    except OSError as error:
        raise EdgeError(
            f"{out.parent} cannot be written ({error.strerror}); name another file with -o"
        ) from error
    try:
        if not _cloned(image, part):
            size, used = os.fstat(image.fileno()).st_size, os.fstat(image.fileno()).st_blocks * 512
            if shutil.disk_usage(out.parent).free < used:
                raise EdgeError(_full(out.parent, used))
            _copy(image, 0, size, part)
            part.flush()
        for place, block in changed:
            whole(write, part.fileno(), block, place)
        put_in_place(part, out)
    except OSError as error:
        raise fault(error, out.parent, "the image is as it was") from error
    finally:
        drop_part(part)


def _cloned(image: BinaryIO, part: BinaryIO) -> bool:
    """Whether the file system shares the blocks: at once, and without space."""
    try:
        fcntl.ioctl(part.fileno(), _CLONE, image.fileno())
    except OSError:
        return False
    return True


def _copy(image: BinaryIO, start: int, size: int, part: BinaryIO) -> None:
    image.seek(start)
    left = size
    while left:
        data = image.read(min(_STEP, left))
        if not data:
            raise ConfigError("has become shorter meanwhile; leave it alone and run this again")
        if data.count(0) == len(data):
            part.seek(len(data), os.SEEK_CUR)
        else:
            part.write(data)
        left -= len(data)
    part.truncate(size)


def whole(write: Write, descriptor: int, data: bytes, place: int) -> None:
    """Write all of ``data`` at ``place``, however little one call takes. Raises OSError."""
    done = 0
    while done < len(data):
        done += write(descriptor, data[done:], place + done)


def _at(file: BinaryIO, place: int, size: int) -> bytes:
    return os.pread(file.fileno(), size, place)


def fault(error: OSError, folder: Path, left: str) -> EdgeError:
    """What to say of a file that could not be written in ``folder``; ``left`` says what is there now."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return EdgeError(f"{error.strerror} in {folder}; free some, or name a file on another disk; {left}")
    return EdgeError(f"{folder} cannot be written ({error.strerror}); {left}")


def _full(folder: Path, needed: int) -> str:
    free = shutil.disk_usage(folder).free
    return (
        f"{folder} has {free / 1e6:.0f} MB free, the copy needs {needed / 1e6:.0f} MB; free some, "
        "name a file on another disk with -o, or change the image itself with --in-place"
    )
