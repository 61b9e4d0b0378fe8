"""The wire format: what was written is read, and nothing else than a ValueError comes of what was not."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.system.wire_format import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    fields,
    integers,
    signed,
    varint,
    write_bytes,
    write_integer,
)

BITS = (1 << 64) - 1


def write(value: int) -> bytes:
    """A varint, as the specification describes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@st.composite
def messages(draw) -> tuple[bytes, list[tuple[int, int, bytes | int]]]:
    """A message, and the number, kind and content of each of its fields."""
    rows: list[tuple[int, int, bytes | int]] = []
    data = b""
    for number in draw(st.lists(st.integers(1, (1 << 29) - 1), max_size=6)):
        kind = draw(st.sampled_from([VARINT, FIXED64, BYTES, FIXED32]))
        data += write(number << 3 | kind)
        if kind == VARINT:
            value: bytes | int = draw(st.integers(0, BITS))
            data += write(value)
        else:
            size = {FIXED64: 8, FIXED32: 4}.get(kind) or draw(st.integers(0, 300))
            value = draw(st.binary(min_size=size, max_size=size))
            data += (write(size) if kind == BYTES else b"") + value
        rows.append((number, kind, value))
    return data, rows


@given(messages())
def test_what_was_written_is_read(message) -> None:
    data, rows = message
    read = [
        (field.number, field.kind, field.value if field.kind == VARINT else data[field.at : field.stop])
        for field in fields(data)
    ]
    assert read == rows


@given(st.binary(max_size=200), st.integers(0, 200), st.integers(0, 200))
def test_any_bytes_are_read_within_their_bounds_or_refused(data: bytes, at: int, stop: int) -> None:
    at, stop = sorted((min(at, len(data)), min(stop, len(data))))
    with contextlib.suppress(ValueError):
        for field in fields(data, at, stop):
            assert at <= field.start < field.at <= field.stop <= stop
            assert field.number > 0


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",  # no value
        b"\x08\xff",  # a varint that is cut
        b"\x08" + b"\xff" * 10,  # one that does not end
        b"\x0a\x05abc",  # longer than the message
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # 2^64 - 1 bytes
        b"\x09abc",  # seven bytes of eight
        b"\x0b\x0c",  # a group
        b"\x02\x00",  # number 0
        b"\xfa\xff\xff\xff\xff\x01\x00",  # a tag of more than 32 bits
        b"\x0e",  # kind 6
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no valid (field|varint)|a field ends at"):
        list(fields(data))


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=20), st.integers(0, 30))
def test_packed_and_single_numbers_are_the_same(values: list[int], most: int) -> None:
    content = b"".join(write(value & BITS) for value in values)
    packed = b"\x0a" + write(len(content)) + content
    single = b"".join(b"\x08" + write(value & BITS) for value in values)
    (field,) = fields(packed)
    assert integers(packed, field, most) == values[: most + 1]
    assert [integers(single, field, 1)[0] for field in fields(single)] == values


def test_numbers_of_another_kind_are_none() -> None:
    data = b"\x0dabcd"
    assert integers(data, next(fields(data)), 5) == []


def test_a_varint_has_64_bits() -> None:
    assert varint(b"\xff" * 9 + b"\x7f", 0, 10) == (BITS, 10)
    assert (signed(BITS), signed(BITS >> 1)) == (-1, BITS >> 1)


@given(st.integers(1, (1 << 29) - 1), st.integers(-(1 << 63), (1 << 63) - 1), st.binary(max_size=300))
def test_what_we_write_is_read(number: int, value: int, content: bytes) -> None:
    data = write_integer(number, value) + write_bytes(number, content)
    first, second = fields(data)
    assert (first.number, signed(first.value)) == (number, value)
    assert (second.number, data[second.at : second.stop]) == (number, content)
