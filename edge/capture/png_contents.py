"""What a PNG unpacks to: decoders take gigabytes for the texts and pixels that are packed in kilobytes.

The chunks are those of PNG (ISO/IEC 15948, third edition), which include an animation's.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

from edge.errors import SourceError

SIGNATURE = b"\x89PNG"
DECODERS = {"png", "apng"}  # of FFmpeg
MOST_TEXT_BYTES = 16 << 20  # of all texts and the color profile; the largest profiles have 4 MB
_SIGNATURE_BYTES = 8
_MOST_CHUNKS = 1 << 18  # in pieces of 8 kB they are 2 GB
_MOST_PIXEL_BYTES = 1 << 30  # seconds of unpacking, even if they are for nothing
_PIXEL_BYTES = 9  # unpacked: four numbers of 16 bits, and the filter of a row of one pixel
_RATIO = 1032  # at most, of what is unpacked to what is packed (deflate, RFC 1951)
_PIECE_BYTES = 1 << 16
_TEXTS = (b"iCCP", b"zTXt", b"iTXt")
_PIXELS = {b"IDAT": 0, b"fdAT": 4}  # a number stands before those of an animation

ReadAt = Callable[[int, int], bytes | memoryview]  # where, how many bytes


def in_memory(data: bytes) -> ReadAt:
    """How to read what is in memory without a copy."""
    view = memoryview(data)
    return lambda at, size: view[at : at + size]


def chunks(read_at: ReadAt, at: int = _SIGNATURE_BYTES) -> Iterator[tuple[bytes, int, int]]:
    """Kind, place and length of each chunk from ``at`` up to the end of the picture.

    The last one may say more than there is. Raises SourceError if there are too many.
    """
    for _ in range(_MOST_CHUNKS):
        head = bytes(read_at(at, 8))
        if len(head) < 8 or head[4:] == b"IEND":
            return
        length = int.from_bytes(head[:4], "big")
        yield head[4:], at + 8, length
        at += 12 + length
    raise SourceError(f"it has more than {_MOST_CHUNKS:,} chunks")


def check_texts(read_at: ReadAt, at: int = _SIGNATURE_BYTES) -> None:
    """Raise SourceError if texts and color profile unpack to more than MOST_TEXT_BYTES."""
    left = MOST_TEXT_BYTES
    for kind, start, length in chunks(read_at, at):
        if kind in _TEXTS:
            left -= _unpacked([_packed_text(kind, read_at(start, length))], left)
        if left < 0:
            raise SourceError(f"its texts unpack to more than {MOST_TEXT_BYTES:,} bytes")


def check(data: bytes, most_pixels: int, at: int = _SIGNATURE_BYTES) -> None:
    """Raise SourceError if texts or pixels unpack to more than a picture of ``most_pixels`` needs.

    ``data`` is one picture, or one of an animation; its chunks begin at ``at``.
    """
    read_at = in_memory(data)
    check_texts(read_at, at)
    pieces = [
        read_at(start, length)[_PIXELS[kind] :]
        for kind, start, length in chunks(read_at, at)
        if kind in _PIXELS
    ]
    most = max(_PIXEL_BYTES * most_pixels, _MOST_PIXEL_BYTES)
    packed = sum(len(piece) for piece in pieces)
    if packed * _RATIO > most and _unpacked(pieces, most) > most:  # else it cannot be more
        raise SourceError(f"its pixels unpack to more than {most:,} bytes")


def _packed_text(kind: bytes, content: bytes | memoryview) -> memoryview:
    """What is packed of a text or profile: words that end with a zero, and numbers, stand before it."""
    content = bytes(content)
    at = content.find(b"\0") + 2  # the method
    if kind == b"iTXt":
        if content[at - 1 : at] != b"\1":  # not packed
            return memoryview(b"")
        at = content.find(b"\0", content.find(b"\0", at + 1) + 1) + 1  # language, translated keyword
    return memoryview(content)[at:]


def _unpacked(pieces: list[bytes | memoryview], most: int) -> int:
    """How many bytes one zlib stream unpacks to; some number beyond ``most`` if it is more."""
    stream, count = zlib.decompressobj(), 0
    for piece in pieces:
        for start in range(0, len(piece), _PIECE_BYTES):
            rest = bytes(piece[start : start + _PIECE_BYTES])
            while rest and count <= most:
                try:
                    count += len(stream.decompress(rest, _PIECE_BYTES * 8))
                except zlib.error:  # a decoder ends there, too
                    return count
                rest = stream.unconsumed_tail
    return count
