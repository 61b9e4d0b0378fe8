"""Files of arrays (.npz) with one thing wrong: members, headers of arrays, numbers, the zip around them."""

from __future__ import annotations

import io
import math
import re
import struct
import warnings
import zipfile
from collections.abc import Sequence
from random import Random

TYPES = (
    "|u1",
    "<f4",
    "<f2",
    "<f8",
    ">f4",
    "|S1",
    "|O",
    "<U4",
    "|b1",
    "<i8",
    "<c8",
    "[('a', '<f4')]",
    "|V9",
    "?",
    "<m8[s]",
)
SIZES = (0, 1, 2, 3, 7, 8, 9, 48, 65, 1000, 1 << 31, 200_000_000, 1 << 63, -1)
NAMES = (
    "crops.npy",
    "logits.npy",
    "crops",
    "logits",
    "../crops.npy",
    "faces.npy",
    "crops.npy\0",
    "a" * 300,
    "",
)
FLOATS = (float("nan"), float("inf"), -float("inf"), 1e38, -1e38, 0.0, 1e-45)

_MOST_DATA = 1 << 20  # bytes that are made up
Member = tuple[str, bytes, int]  # name, content, zipfile's method


def array(
    shape: Sequence[int], data: bytes, kind: str = "|u1", order: str = "False", version: int = 1
) -> bytes:
    """An array file (.npy) whose header says what it is told."""
    row = "".join(f"{size}, " for size in shape)
    text = f"{{'descr': {kind!r}, 'fortran_order': {order}, 'shape': ({row}), }}"
    return npy(text.encode(), data, version)


def npy(header: bytes, data: bytes, version: int = 1) -> bytes:
    """An array file with this header."""
    width = 2 if version == 1 else 4
    header += b" " * (-(len(header) + 9 + width) % 64) + b"\n"
    size = len(header).to_bytes(width, "little") if len(header) < 1 << 8 * width else b"\xff" * width
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + data


def pack(members: Sequence[Member]) -> bytes:
    """A zip file of the members, with right checksums."""
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w") as file:
        warnings.simplefilter("ignore")  # of names that occur twice
        for name, content, method in members:
            file.writestr(zipfile.ZipInfo(name or "x"), content, method)
    return out.getvalue()


def unpack(data: bytes, most: int = 4 << 20) -> list[Member]:
    """Name, content and method of each member, at most ``most`` bytes; ValueError if it is no such file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            rows = []
            for row in file.infolist()[:64]:
                with file.open(row) as member:
                    rows.append((row.filename, member.read(most), row.compress_type))
            return rows
    except Exception as error:  # whatever zipfile raises: it is not what is tested
        raise ValueError("no zip file") from error


def golden(
    size: int = 8, labels: int = 3, count: int = 2, steps: int = 3, rng: Random | None = None
) -> bytes:
    """A golden.npz with noise, of the right shapes."""
    rng = rng or Random(0)
    crops = array((count, steps, size, size), rng.randbytes(count * steps * size * size))
    numbers = [rng.uniform(-3, 3) for _ in range(count * steps * labels)]
    logits = array((count, steps, labels), struct.pack(f"<{len(numbers)}f", *numbers), "<f4")
    return pack([("crops.npy", crops, zipfile.ZIP_STORED), ("logits.npy", logits, zipfile.ZIP_STORED)])


def mutate(data: bytes, rng: Random) -> bytes:
    """The file with one to three changes; ValueError if it is none."""
    members = unpack(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if members:
            rng.choice((_header, _header, _header, _numbers, _members, _method))(members, rng)
    packed = pack(members[:64])
    return _zip_fields(packed, rng) if rng.random() < 0.2 else packed


def _header(members: list[Member], rng: Random) -> None:
    at = rng.randrange(len(members))
    name, content, method = members[at]
    head, data = _split(content)
    what = rng.randrange(7)
    if what < 3:
        content = _other_shape(head, data, rng)
    elif what == 3:
        shape = [rng.choice((*SIZES, 2, 3, 8)) for _ in range(rng.randrange(6))]
        content = array(shape, data, rng.choice(TYPES), rng.choice(("False", "False", "True", "3")))
    elif what == 4:
        cut = rng.randrange(len(head) + 1)
        pieces = (b"", b"{" * 3000, b"-", b"9" * 40, b"'", b"\xff", b"None")
        content = npy(head[:cut] + rng.choice(pieces) + head[cut:], data)
    elif what == 5:
        content = npy(head, data, rng.choice((0, 1, 2, 3, 9)))
    else:
        content = npy(head.replace(rng.choice((b"<f4", b"|u1")), rng.choice(TYPES).encode()), data)
    members[at] = name, content, method


def _other_shape(head: bytes, data: bytes, rng: Random) -> bytes:
    """The array with an axis longer, more or less, or of another type; mostly with data to match."""
    found = re.search(rb"'descr': '([^']*)'.*'shape': \(([0-9, ]*)\)", head)
    if not found:
        return npy(head, data)
    kind, shape = found[1].decode(), [int(size) for size in found[2].split(b",") if size.strip()]
    at, what = rng.randrange(len(shape) + 1), rng.randrange(5)
    if what == 0:
        shape.insert(at, rng.choice((1, 2, 8)))
    elif what == 1:
        kind = rng.choice(("|u1", "<f2", "<f4", "<f8", "<i4", "|i1"))
    elif shape and what == 2:
        del shape[at % len(shape)]
    elif shape:
        shape[at % len(shape)] = rng.choice((0, 1, 2, 3, 7, 8, 9, 16, 8193, 1 << 40))
    needed = math.prod(shape) * (int(kind[-1]) if kind[-1:].isdigit() else 1)
    if needed <= _MOST_DATA and rng.random() < 0.9:
        data = (data * (needed // max(1, len(data)) + 1))[:needed]
    return array(shape, data, kind)


def _numbers(members: list[Member], rng: Random) -> None:
    at = rng.randrange(len(members))
    name, content, method = members[at]
    head, data = _split(content)
    what = rng.randrange(4)
    if what == 0 and len(data) >= 4:
        to = rng.randrange(len(data) // 4) * 4
        data = data[:to] + struct.pack("<f", rng.choice(FLOATS)) + data[to + 4 :]
    elif what == 1:
        data = data[: rng.randrange(len(data) + 1)]
    elif what == 2:
        data += bytes(rng.choice((1, 64, 100_000)))
    else:
        data = bytes(len(data))
    members[at] = name, npy(head.rstrip(b" \n"), data), method


def _members(members: list[Member], rng: Random) -> None:
    at, what = rng.randrange(len(members)), rng.randrange(4)
    if what == 0:
        del members[at]
    elif what == 1:
        members.append((rng.choice(NAMES), *members[at][1:]))
    elif what == 2:
        members[at] = (rng.choice(NAMES), *members[at][1:])
    else:
        members += [(f"m{number}.npy", b"", zipfile.ZIP_STORED) for number in range(rng.choice((1, 15, 60)))]


def _method(members: list[Member], rng: Random) -> None:
    at = rng.randrange(len(members))
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    members[at] = (*members[at][:2], rng.choice(methods))


def _zip_fields(data: bytes, rng: Random) -> bytes:
    """Another number in the directory of the file, in a local header or in the record at its end."""
    starts = [at for mark in (b"PK\1\2", b"PK\3\4", b"PK\5\6") for at in _all(data, mark)]
    at = rng.choice(starts) + rng.randrange(4, 42)
    value = rng.choice((0, 1, 0xFF, 0xFFFF, 0xFFFFFFFF, 1 << 30)).to_bytes(4, "little")[
        : rng.choice((1, 2, 4))
    ]
    return data[:at] + value + data[at + len(value) :]


def _all(data: bytes, mark: bytes) -> list[int]:
    found, at = [], data.find(mark)
    while at >= 0:
        found.append(at)
        at = data.find(mark, at + 1)
    return found


def _split(content: bytes) -> tuple[bytes, bytes]:
    """Header and numbers of an array file."""
    width = 2 if content[6:7] in (b"\1", b"") else 4
    start = 8 + width
    size = int.from_bytes(content[8:start], "little")
    return content[start : start + size].rstrip(b" \n"), content[start + size :]
