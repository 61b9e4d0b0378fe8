"""The wire format of Protocol Buffers, read without a schema and within the bounds of each message.

Source: https://protobuf.dev/programming-guides/encoding. Groups, which are no longer in use, are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # kinds of fields
_SIZES = {FIXED64: 8, FIXED32: 4}
_LAST_TAG = (1 << 32) - 1


class Field(NamedTuple):
    """One field of a message: offsets into the data, and the value of a VARINT."""

    number: int
    kind: int
    start: int  # of its tag
    at: int  # of its content
    stop: int  # behind its content
    value: int  # of a VARINT, 64 bits without a sign; else 0


def fields(data: bytes, at: int = 0, stop: int | None = None) -> Iterator[Field]:
    """The fields of the message at ``data[at:stop]``; ValueError where it is none."""
    stop = len(data) if stop is None else stop
    while at < stop:
        start = at
        tag, at = varint(data, at, stop)
        number, kind, value = tag >> 3, tag & 7, 0
        if kind == BYTES:
            size, at = varint(data, at, stop)
            end = at + size
        elif kind == VARINT:
            value, end = varint(data, at, stop)
        elif kind in _SIZES:
            end = at + _SIZES[kind]
        else:
            raise ValueError(f"no valid field at byte {start}")
        if not number or tag > _LAST_TAG:
            raise ValueError(f"no valid field at byte {start}")
        if end > stop:
            raise ValueError(f"a field ends at byte {end}, but its message at {stop}")
        yield Field(number, kind, start, at, end, value)
        at = end


def varint(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """The varint at ``at``, seven bits per byte, least significant first, and the offset after it."""
    if at < stop and data[at] < 0x80:  # most of them have one byte
        return data[at], at + 1
    value = 0
    for index, byte in enumerate(data[at : min(at + 10, stop)]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value & (1 << 64) - 1, at + index + 1
    raise ValueError(f"no valid varint at byte {at}")


def integers(data: bytes, field: Field, most: int) -> list[int]:
    """The first ``most`` + 1 values of a repeated int64 field, written one by one or packed."""
    if field.kind == VARINT:
        return [signed(field.value)]
    if field.kind != BYTES:
        return []  # as a parser with a schema, which passes over fields of another kind
    values: list[int] = []
    at = field.at
    while at < field.stop and len(values) <= most:
        value, at = varint(data, at, field.stop)
        values.append(signed(value))
    return values


def signed(value: int) -> int:
    """64 bits as a number with a sign."""
    return value - (1 << 64) if value >> 63 else value


def write_integer(number: int, value: int) -> bytes:
    """A VARINT field; ``value`` may have a sign."""
    return write_varint(number << 3 | VARINT) + write_varint(value & (1 << 64) - 1)


def write_bytes(number: int, content: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return write_varint(number << 3 | BYTES) + write_varint(len(content)) + content


def write_varint(value: int) -> bytes:
    """A number of up to 64 bits, seven bits per byte, least significant first."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])
