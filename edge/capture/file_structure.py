"""What a video file's own structure tells: whether it was cut, and how a track is turned."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from edge.capture.regular_file import WatchedFile

_MOST = 100_000  # boxes looked at; an hour of fragments of one second has 7,200
_TOP_LEVEL = (b"mdat", b"moov", b"moof", b"free", b"skip", b"wide", b"mfra", b"sidx", b"styp", b"uuid")
_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675


class Box(NamedTuple):
    """One box of an ISO base media file (MP4, MOV)."""

    kind: bytes
    start: int  # of its content, in bytes
    end: int  # may lie behind the end of the file


def is_cut(file: WatchedFile, container: str) -> bool:
    """Whether the file ends before its structure does; ``container``: FFmpeg's name of the format."""
    if container.startswith("mov,"):
        return any(box.kind in _TOP_LEVEL and box.end > file.size for box in boxes(file, 0, file.size))
    if container.startswith("matroska"):
        return _is_cut_matroska(file)
    if container == "avi":
        return _is_cut_riff(file)
    if container == "mpegts":  # of packets of one size
        return all(file.size % size for size in (188, 192, 204))
    # A GIF ends with a trailer, the byte 0x3B (GIF89a specification).
    return container == "gif" and b"\x3b" not in file.read_at(max(file.size - 16, 0), 16)


def track_matrix(file: WatchedFile, track: int) -> bytes:
    """The display matrix of the MP4 or MOV track numbered ``track``, in the byte order of this machine.

    FFmpeg before 6.1 does not pass it on to the frames. Empty if the file has none.
    """
    for movie in _of_kind(file, b"moov", 0, file.size):
        for trak in _of_kind(file, b"trak", movie.start, movie.end):
            for header in _of_kind(file, b"tkhd", trak.start, trak.end):
                data = file.read_at(header.start, 92)
                # Version 1 has three times of 64 instead of 32 bits (ISO 14496-12, 8.3.2).
                at, gap = (12, 28) if data[:1] == b"\0" else (20, 32)
                matrix = data[at + gap : at + gap + 36]
                if len(matrix) == 36 and int.from_bytes(data[at : at + 4], "big") == track:
                    return struct.pack("=9i", *struct.unpack(">9i", matrix))
    return b""


def boxes(file: WatchedFile, start: int, end: int) -> Iterator[Box]:
    """The boxes from ``start`` to ``end`` (bytes), until something else stands there."""
    for _ in range(_MOST):
        head = file.read_at(start, 16)
        if start + 8 > end or len(head) < 8:
            return
        size, kind, header = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, header = int.from_bytes(head[8:16], "big"), 16
        size = size or end - start  # 0: until the end
        if size < header:
            return
        yield Box(kind, start + header, start + size)
        start += size


def _of_kind(file: WatchedFile, kind: bytes, start: int, end: int) -> Iterator[Box]:
    return (box for box in boxes(file, start, min(end, file.size)) if box.kind == kind)


def _is_cut_matroska(file: WatchedFile) -> bool:
    """Whether the segment, or a cluster of a segment without a size, ends behind the file (RFC 8794)."""
    at = 0
    for _ in range(_MOST):
        element = _element(file, at)
        if element is None:
            return False
        name, start, size = element
        if name == _SEGMENT and size is None:
            at = start
            continue
        if size is None:
            return False
        at = start + size
        if at > file.size:
            return name in (_EBML, _SEGMENT, _CLUSTER)
    return False


def _element(file: WatchedFile, at: int) -> tuple[int, int, int | None] | None:
    """Name, start of the content and size (None: unknown) of the EBML element at ``at``; None: no element."""
    head = file.read_at(at, 12)
    name_bytes = 9 - head[0].bit_length() if head else 9
    if name_bytes > 4 or len(head) <= name_bytes:
        return None
    size_bytes = 9 - head[name_bytes].bit_length()
    if size_bytes > 8 or len(head) < name_bytes + size_bytes:
        return None
    unknown = (1 << 7 * size_bytes) - 1
    size = int.from_bytes(head[name_bytes : name_bytes + size_bytes], "big") & unknown
    name = int.from_bytes(head[:name_bytes], "big")
    return name, at + name_bytes + size_bytes, None if size == unknown else size


def _is_cut_riff(file: WatchedFile) -> bool:
    """Whether a chunk of an AVI ends behind the file; a long one has several at its top."""
    at = 0
    for _ in range(_MOST):
        head = file.read_at(at, 8)
        if len(head) < 8 or head[:4] != b"RIFF":
            return False
        at += 8 + int.from_bytes(head[4:], "little")
        if at > file.size:
            return True
    return False
