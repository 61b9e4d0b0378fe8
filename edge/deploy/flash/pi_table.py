"""The partition table of an image of a disk: MBR, or GPT as UEFI 2.10, section 5.3, describes it."""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from edge.errors import ConfigError

SECTOR = 512
_MOST_ENTRIES = 1024
_FAT = frozenset({0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E, 0xEF})
_LINUX = 0x83
_PROTECTIVE, _EXTENDED = 0xEE, frozenset({0x05, 0x0F, 0x85})
_FAT_IDS = frozenset({
    uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),  # EFI system
    uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"),  # basic data
})  # fmt: skip
_LINUX_IDS = frozenset({
    uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4"),  # Linux
    uuid.UUID("b921b045-1df0-41c3-af44-4c6f280d3fae"),  # root, arm64
    uuid.UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),  # root, x86-64
})  # fmt: skip


@dataclass(frozen=True)
class Partition:
    """Where a partition lies, in bytes; ``kind`` is "fat", "linux" or "other"."""

    number: int
    kind: str
    start: int
    size: int


def read(file: BinaryIO, size: int) -> list[Partition]:
    """The partitions of a file of ``size`` bytes, by their place.

    ConfigError for no table, a damaged one, or partitions that overlap or end after the file.
    """
    sector = _bytes(file, 0, SECTOR)
    if sector[510:] != b"\x55\xaa":
        raise ConfigError("has no partition table; give the image of a whole card, such as raspios.img")
    rows = [struct.unpack_from("<B3xB3xII", sector, 446 + 16 * row) for row in range(4)]
    protective = any(kind == _PROTECTIVE for _, kind, _, _ in rows)
    found = list(_gpt(file, size) if protective else _mbr(rows))
    found.sort(key=lambda partition: partition.start)
    _check(found, size)
    return found


def _mbr(rows: list[tuple[int, int, int, int]]) -> Iterator[Partition]:
    for number, (flag, kind, start, count) in enumerate(rows, 1):
        if flag not in (0x00, 0x80):
            raise ConfigError("has no partition table; give the image of a whole card, such as raspios.img")
        if kind == 0 or kind in _EXTENDED:
            continue
        name = "fat" if kind in _FAT else "linux" if kind == _LINUX else "other"
        yield Partition(number, name, start * SECTOR, count * SECTOR)


def _gpt(file: BinaryIO, size: int) -> Iterator[Partition]:
    header = _bytes(file, SECTOR, SECTOR)
    length = struct.unpack_from("<I", header, 12)[0]
    if header[:8] != b"EFI PART" or not 92 <= length <= SECTOR:
        raise ConfigError("has no GPT header, though its MBR says so; download the image again")
    zeroed = header[:16] + bytes(4) + header[20:length]
    place, count, entry, crc = struct.unpack_from("<QIII", header, 72)
    if zlib.crc32(zeroed) != struct.unpack_from("<I", header, 16)[0]:
        raise ConfigError("has a GPT header with a wrong checksum; download the image again")
    if not 128 <= entry <= 4096 or entry % 8 or count > _MOST_ENTRIES or place > size // SECTOR:
        raise ConfigError(f"has a GPT of {count} entries of {entry} bytes; download the image again")
    table = _bytes(file, place * SECTOR, count * entry)
    if zlib.crc32(table) != crc:
        raise ConfigError("has a GPT with a wrong checksum; download the image again")
    for number in range(count):
        kind, first, last = struct.unpack_from("<16s16xQQ", table, number * entry)
        if any(kind):
            id_ = uuid.UUID(bytes_le=kind)
            name = "fat" if id_ in _FAT_IDS else "linux" if id_ in _LINUX_IDS else "other"
            yield Partition(number + 1, name, first * SECTOR, (last - first + 1) * SECTOR)


def _check(found: list[Partition], size: int) -> None:
    if not found:
        raise ConfigError("has a partition table without partitions; give the image of a whole card")
    end = SECTOR
    for partition in found:
        if partition.size <= 0 or partition.start < end:
            raise ConfigError(f"has partition {partition.number} on top of another; download the image again")
        end = partition.start + partition.size
    if end > size:
        raise ConfigError(
            f"is cut off: its partitions end at byte {end}, the file at {size}; download or unpack it again"
        )


def _bytes(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    data = file.read(count)
    if len(data) < count:
        raise ConfigError(f"has {place + len(data)} bytes, too few for a partition table; download it again")
    return data
