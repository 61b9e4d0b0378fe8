"""NumPy's .npz files that are not trusted: what they declare is known before anything is unpacked.

Source: PKWARE's APPNOTE (the zip format) and numpy.lib.format (the header of an array).
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import reason
from edge.system.one_line import one_line

_MOST_MEMBERS = 16
_MOST_DIRECTORY_BYTES = 1 << 14
_MOST_HEADER_BYTES = 1024
_END_BYTES = 22  # of the record at the end, without a comment
_ZIP64_BYTES = 20  # of the record that stands before it in a file of more than 4 GB
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '([<|][uif][1248])', 'fortran_order': False, "
    rb"'shape': \(((?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?)\), \} *\n"
)


@dataclass(frozen=True)
class Array:
    """One array of a file, which is unpacked when it is read; ``dtype`` is that of numbers."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    _archive: zipfile.ZipFile
    _info: zipfile.ZipInfo
    _header_bytes: int

    def batches(self, count: int) -> Iterator[npt.NDArray[Any]]:
        """The array in parts of at most ``count`` rows; ValueError where it is damaged."""
        row_bytes = prod(self.shape[1:]) * self.dtype.itemsize
        with _one_line(self.name), self._archive.open(self._info) as file:
            _exactly(file, self._header_bytes)
            for at in range(0, self.shape[0], count):
                rows = min(count, self.shape[0] - at)
                content = _exactly(file, rows * row_bytes)
                yield np.frombuffer(content, self.dtype).reshape(rows, *self.shape[1:])
            file.read(1)  # the end, where the checksum is compared


def arrays(content: bytes) -> Mapping[str, Array]:
    """The arrays in the bytes of a .npz file, by name; only their headers are unpacked.

    ValueError, in one line, for everything but stored or deflated arrays of numbers in C order.
    """
    with _one_line("zip"):
        _check_end(content)
        archive = zipfile.ZipFile(io.BytesIO(content))
        members = archive.infolist()
        names = [info.filename.removesuffix(".npy") for info in members]
        if len(members) > _MOST_MEMBERS or len(set(names)) < len(names):
            raise ValueError(f"{len(members)} members, expected at most {_MOST_MEMBERS} of different names")
    found = [_array(archive, info) for info in members]
    return {array.name: array for array in found}


def _check_end(content: bytes) -> None:
    """Refuse a directory that is large or lies elsewhere: reading it would make a record for each member.

    Another file in front of the first member is refused as well, as NumPy does.
    """
    end = content[-_END_BYTES:]
    if content[:4] != b"PK\x03\x04":
        raise ValueError("it does not begin as an .npz file does")
    if len(end) < _END_BYTES or end[:4] != b"PK\x05\x06" or end[-2:] != b"\0\0":
        raise ValueError("it does not end as an .npz file does; it may be cut")
    if content[:-_END_BYTES][-_ZIP64_BYTES:][:4] == b"PK\x06\x07":
        raise ValueError("it has the directory of a file of more than 4 GB")
    members, size = int.from_bytes(end[10:12], "little"), int.from_bytes(end[12:16], "little")
    if members > _MOST_MEMBERS or size > _MOST_DIRECTORY_BYTES:
        raise ValueError(f"{members} members, expected at most {_MOST_MEMBERS}")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    name = info.filename.removesuffix(".npy")
    with _one_line(name):
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"compression {info.compress_type}, expected none or deflate")
        with archive.open(info) as file:
            start = _exactly(file, len(_MAGIC) + 2)
            size = int.from_bytes(start[-2:], "little")
            known = start.startswith(_MAGIC) and size <= _MOST_HEADER_BYTES
            header = _HEADER.fullmatch(_exactly(file, size)) if known else None
        if header is None:
            raise ValueError("no array of numbers in C order")
        dtype = np.dtype(header[1].decode())
        shape = tuple(int(length) for length in header[2].split(b",") if length.strip())
        expected = len(start) + size + prod(shape) * dtype.itemsize
        if not shape or info.file_size != expected:
            raise ValueError(f"{info.file_size:,} bytes, but its header declares {expected:,}")
    return Array(name, dtype, shape, archive, info, len(start) + size)


def _exactly(file: Any, size: int) -> bytes:
    content: bytes = file.read(size)
    if len(content) < size:
        raise ValueError("it is cut")
    return content


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Make every fault a ValueError of one line: zipfile, zlib and NumPy raise a dozen kinds."""
    try:
        yield
    except Exception as error:
        raise ValueError(one_line(f"{name:.40}: {reason(error)}"[:200])) from error
