"""What the first bytes of a picture file tell: that it is one, and its size before memory is taken for it."""

from __future__ import annotations

import os
import re
import struct
import sys
from collections.abc import Iterator

from edge.capture.png_contents import chunks, in_memory
from edge.errors import SourceError
from edge.system.checked_file import FileRefused, open_checked

SUFFIXES = (
    *(".bmp", ".dib", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff"),
    ".webp",
)
_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])*"  # for OpenCV either of the two ends a comment
_PNM = re.compile(rb"P[1-6]\s" + _SPACE + rb"(\d{1,9})\s" + _SPACE + rb"(\d{1,9})\s")
_MARKER = re.compile(rb"\xff[^\x00\xff]")  # of a JPEG
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}  # signature -> byte order
_SUBFILE, _WIDTH, _HEIGHT, _SAMPLE_FORMAT = 254, 256, 257, 339  # tags of a TIFF
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_TIFF_NUMBERS = {1: "B", 3: "H", 4: "I"}  # type of a tag's number -> how struct calls it


def is_picture(path: str) -> bool:
    """Whether ``path`` is a regular file with the name and the signature of a picture.

    An animated PNG is none: FFmpeg reads all of it.
    """
    if os.path.splitext(path)[1].lower() not in SUFFIXES or not os.path.isfile(path):
        return False
    try:
        with open_checked(path, sys.maxsize, follow=True) as file:
            data = file.read(4096)
        return _kind(data) is not None and not (_kind(data) == "png" and holds_more(data))
    except (FileRefused, OSError):  # who reads it tells why
        return True


def size_of(data: bytes) -> tuple[int, int] | None:
    """Height and width in pixels by the header of a picture; None if it is no picture or broken."""
    kind = _kind(data)
    try:
        return None if kind is None else _SIZES[kind](data)
    except (struct.error, IndexError, SourceError):  # it ends within its header, or never
        return None


def holds_more(data: bytes) -> bool:
    """Whether it is an animation (PNG, WebP), or a TIFF with a further page that is no thumbnail."""
    try:
        if _kind(data) == "tiff":
            following = _tiff_directory(data, _tiff_start(data))[1]
            return following > 0 and not _tiff_directory(data, following)[0].get(_SUBFILE, 0) & 1
    except struct.error:
        return False
    if _kind(data) == "webp":
        return data[12:16] == b"VP8X" and bool(data[20:21]) and bool(data[20] & 2)
    return _kind(data) == "png" and 0 < data.find(b"acTL") < (data.find(b"IDAT") % len(data))


def _kind(data: bytes) -> str | None:
    if data[:4] in _TIFF:
        return "tiff"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if re.match(rb"P[1-6]\s", data):
        return "pnm"
    starts = {b"\xff\xd8\xff": "jpeg", b"\x89PNG": "png", b"BM": "bmp"}
    return next((kind for start, kind in starts.items() if data.startswith(start)), None)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Height and width in the frame header (SOF) of a JPEG (ITU T.81, B.2.2); None if it has none."""
    for marker, at in _jpeg_markers(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return height, width
        if marker == 0xDA:  # start of the compressed data
            return None
    return None


def scans_of(data: bytes) -> int:
    """Scans of a JPEG, 0 for another kind: a decoder passes over all pixels for each."""
    if _kind(data) != "jpeg":
        return 0
    return sum(marker == 0xDA for marker, _ in _jpeg_markers(data))


def _jpeg_markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Each marker with a segment, and where it stands, up to the end of the picture.

    What stands between two segments is skipped, as libjpeg does: compressed data, or stray bytes.
    """
    at = 2 if data.startswith(b"\xff\xd8") else len(data)
    while (found := _MARKER.search(data, at)) and found.start() + 9 <= len(data):
        at, marker = found.start(), data[found.start() + 1]
        if marker == 0xD9:  # end of the picture
            return
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without a segment
            at += 2
            continue
        yield marker, at
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def _png_size(data: bytes) -> tuple[int, int] | None:
    # OpenCV takes memory for a chunk as it says, up to 4 GB.
    whole = all(start + length + 4 <= len(data) for _, start, length in chunks(in_memory(data)))
    if data[12:16] != b"IHDR" or not whole:
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return height, width


def _bmp_size(data: bytes) -> tuple[int, int] | None:
    old = struct.unpack_from("<I", data, 14)[0] == 12  # the header of OS/2
    width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
    return abs(height), abs(width)  # below 0: stored top down


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[27:30], "little"), 1 + int.from_bytes(data[24:27], "little")
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return height & 0x3FFF, width & 0x3FFF


def _pnm_size(data: bytes) -> tuple[int, int] | None:
    found = _PNM.match(data[:4096])
    return None if found is None else (int(found[2]), int(found[1]))


def _tiff_size(data: bytes) -> tuple[int, int] | None:
    """The size of the picture, or of one of its tiles where that is larger: memory is taken for each."""
    tags = _tiff_tags(data)
    sizes = [
        (tags.get(_HEIGHT, 0), tags.get(_WIDTH, 0)),
        (tags.get(_TILE_HEIGHT, 0), tags.get(_TILE_WIDTH, 0)),
    ]
    return max(sizes, key=lambda size: size[0] * size[1]) if all(sizes[0]) else None


def is_float_tiff(data: bytes) -> bool:
    """Whether it is a TIFF of floating-point numbers."""
    try:
        return data[:4] in _TIFF and _tiff_tags(data).get(_SAMPLE_FORMAT) == 3
    except struct.error:
        return False


def _tiff_tags(data: bytes) -> dict[int, int]:
    return _tiff_directory(data, _tiff_start(data))[0]


def _tiff_start(data: bytes) -> int:
    (at,) = struct.unpack_from(f"{_TIFF[data[:4]]}I", data, 4)
    return int(at)


def _tiff_directory(data: bytes, at: int) -> tuple[dict[int, int], int]:
    """Tags with a single number in the directory at ``at``, and where the next one is (TIFF 6.0).

    Of a tag that occurs twice the first one counts, as for libtiff.
    """
    order = _TIFF[data[:4]]
    (entries,) = struct.unpack_from(f"{order}H", data, at)
    tags: dict[int, int] = {}
    for entry in range(entries):
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, at + 2 + 12 * entry)
        if count == 1 and kind in _TIFF_NUMBERS:
            (value,) = struct.unpack_from(f"{order}{_TIFF_NUMBERS[kind]}", data, at + 10 + 12 * entry)
            tags.setdefault(tag, value)
    end = at + 2 + 12 * entries
    return tags, int.from_bytes(data[end : end + 4], "little" if order == "<" else "big")


_SIZES = {
    "jpeg": jpeg_size, "png": _png_size, "bmp": _bmp_size, "webp": _webp_size, "pnm": _pnm_size,
    "tiff": _tiff_size,
}  # fmt: skip
