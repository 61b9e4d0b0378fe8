"""Writes into an image so that it is never half written without a name for that state.

A copy gets its name when it is complete. In place, the changed blocks first lie whole in a journal beside the
image; from then on the change can be finished, as often as it takes.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from edge.errors import ConfigError, EdgeError
from edge.system import signals
from edge.system.atomic_write import drop_part, hidden_name, new_part, put_in_place

BLOCK = 1 << 16
_STEP = 1 << 20
_CLONE = 0x40049409  # FICLONE of ioctl_ficlonerange(2): btrfs, XFS
_MAGIC = b"emotion-edge journal 1\n"
_HEAD = struct.Struct("<QI")
_HASH = hashlib.sha256().digest_size

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
            _whole(write, part.fileno(), block, place)
        put_in_place(part, out)
    except OSError as error:
        raise fault(error, out.parent, "the image is as it was") from error
    finally:
        drop_part(part)


def in_place(image: Path, changed: Iterable[Change], folder: Path, write: Write = os.pwrite) -> None:
    """Write the changes into the image itself, by its journal, which is made in ``folder``.

    EdgeError if that has no room: then the image is as it was.
    """
    journal = journal_of(image)
    try:
        part = new_part(folder / "journal", 0o600)
    except OSError as error:
        raise EdgeError(
            f"{image.parent} cannot be written ({error.strerror}), and the journal has its place there; "
            "leave --in-place out and name a file with -o"
        ) from error
    try:
        sum_, place = hashlib.sha256(_MAGIC), len(_MAGIC)
        _whole(write, part.fileno(), _MAGIC, 0)
        for where, block in changed:
            data = _HEAD.pack(where, len(block)) + block
            sum_.update(data)
            _whole(write, part.fileno(), data, place)
            place += len(data)
        _whole(write, part.fileno(), sum_.digest(), place)
        signals.leave(f"{image} may be half written; run the same command again to finish it")
        put_in_place(part, journal)
    except OSError as error:
        raise fault(error, image.parent, "the image is as it was") from error
    finally:
        drop_part(part)
    finish(image, write)


def journal_of(image: Path) -> Path:
    """Where the journal of an image is."""
    return hidden_name(image, "emotion-edge-journal")


def finish(image: Path, write: Write = os.pwrite) -> bool:
    """Finish what was begun in place; whether there was something. Run twice, it ends the same.

    EdgeError for a damaged journal, or if the image cannot be written.
    """
    journal = journal_of(image)
    try:
        file = journal.open("rb")
    except FileNotFoundError:
        return False
    except OSError as error:
        raise EdgeError(f"{journal} cannot be read ({error.strerror}); make it readable") from error
    with file:
        _verify(file, journal)
        try:
            with image.open("r+b") as target:
                for where, block in _blocks(file):
                    _whole(write, target.fileno(), block, where)
                os.fsync(target.fileno())
            journal.unlink()
        except OSError as error:
            raise fault(
                error, image.parent, f"{image} is half written; run the same command again"
            ) from error
    return True


def _verify(file: BinaryIO, journal: Path) -> None:
    size = os.fstat(file.fileno()).st_size
    sum_, left = hashlib.sha256(), size - _HASH
    while left > 0 and (data := file.read(min(_STEP, left))):
        sum_.update(data)
        left -= len(data)
    if left or file.read() != sum_.digest():
        raise ConfigError(f"{journal} is damaged; remove it and the image, and unpack the image again")


def _blocks(file: BinaryIO) -> Iterator[Change]:
    end = os.fstat(file.fileno()).st_size - _HASH
    file.seek(len(_MAGIC))
    while file.tell() < end:
        where, size = _HEAD.unpack(file.read(_HEAD.size))
        yield where, file.read(size)


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


def _whole(write: Write, descriptor: int, data: bytes, place: int) -> None:
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
