"""Files that stand where an output will be written: whatever they hold, only those with our mark are ours."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random

from fuzz.targets.base import Target, scratch

from edge.system.marks import kind_of

PNG = b"\x89PNG\r\n\x1a\n"


def run(data: bytes) -> bool:
    path = scratch("marks") / "output"
    path.write_bytes(data)
    kind = kind_of(path)
    assert kind in (None, "empty", "text", "picture", "clip"), kind
    assert kind != "empty" or not data
    dense = b"".join(data.split())
    assert (
        kind in (None, "empty") or b"emotion-edge" in data or dense.startswith(b'{"schema":"'[: len(dense)])
    ), data
    return kind is not None


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def seeds() -> Iterator[bytes]:
    yield b'{"schema": "emotion-edge-estimate/1", "frame": 3}\n'
    yield b'{"sch'
    yield b'<!doctype html><meta name="generator" content="emotion-edge 1">'
    yield PNG + struct.pack(">I", 21) + b"tEXtSoftware\0emotion-edge" + bytes(4) + bytes(4) + b"IDAT"
    comment = _box(b"\xa9cmt", _box(b"data", bytes(8) + b"emotion-edge"))
    yield _box(b"ftyp", b"isom") + _box(b"moov", _box(b"mvhd", b"") + _box(b"udta", comment))


def mutate(data: bytes, rng: Random) -> bytes:
    """A size of a box or a chunk that is not true."""
    at = rng.randrange(len(data) + 1)
    number = rng.choice((0, 1, 7, 8, 1 << 31, (1 << 32) - 1, len(data) - at))
    return data[:at] + struct.pack(">I", max(0, number)) + data[at + 4 * rng.randrange(2) :]


TARGET = Target(
    "marks", run, seeds, mutate, ("moov", "udta", "ftyp", "tEXt", "IDAT", "Software", "emotion-edge")
)
