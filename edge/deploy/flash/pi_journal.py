"""Changes an image in place: the changed blocks first lie whole in a journal beside it.

From then on the change can be finished, as often as it takes.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from edge.deploy.flash.pi_write import Change, Write, fault, whole
from edge.errors import ConfigError, EdgeError
from edge.system import signals
from edge.system.atomic_write import drop_part, hidden_name, new_part, put_in_place

_STEP = 1 << 20
_MAGIC = b"emotion-edge journal 1\n"
_HEAD = struct.Struct("<QI")
_HASH = hashlib.sha256().digest_size


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
        whole(write, part.fileno(), _MAGIC, 0)
        for where, block in changed:
            data = _HEAD.pack(where, len(block)) + block
            sum_.update(data)
            whole(write, part.fileno(), data, place)
            place += len(data)
        whole(write, part.fileno(), sum_.digest(), place)
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
                    whole(write, target.fileno(), block, where)
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
