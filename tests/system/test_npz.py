"""Reading .npz: what NumPy writes is read; what lies, is cut or would unpack to much is one ValueError."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from edge.system.npz import arrays

SHAPES = arrays_of.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6)
TYPES = st.sampled_from([np.uint8, np.int64, np.float32, np.float64])


def written(save=np.savez, **members) -> bytes:
    file = io.BytesIO()
    save(file, **members)
    return file.getvalue()


def zipped(name: str, content: bytes, how: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        archive.writestr(name, content)
        archive.comment = comment
    return file.getvalue()


def header(kind: str, shape: str, fortran: bool = False) -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def declared(kind: str, shape: str, fortran: bool = False) -> bytes:
    """A file whose only member is a header."""
    return zipped("a.npy", header(kind, shape, fortran))


def read(content: bytes) -> None:
    for array in arrays(content).values():
        for part in array.batches(3):
            assert len(part) <= 3


def told(content: bytes) -> str:
    """Why a file is refused, at once or while it is read; "" if it is not."""
    try:
        read(content)
    except ValueError as error:
        return str(error)
    return ""


@given(
    SHAPES.flatmap(lambda shape: TYPES.flatmap(lambda kind: arrays_of.arrays(kind, shape))),
    st.sampled_from([np.savez, np.savez_compressed]),
    st.integers(1, 7),
)
def test_what_numpy_writes_is_read_in_batches(array, save, count: int) -> None:
    found = arrays(written(save, a=array, b=array[:1]))
    assert list(found) == ["a", "b"]
    assert (found["a"].shape, found["a"].dtype) == (array.shape, array.dtype)
    parts = list(found["a"].batches(count))
    assert all(len(part) <= count for part in parts)
    whole = np.concatenate(parts) if parts else array[:0]
    np.testing.assert_array_equal(whole, array)


GOOD = written(np.savez_compressed, a=np.arange(300, dtype=np.uint8), b=np.zeros((3, 4), np.float32))


@given(st.data())
def test_a_damaged_file_is_read_or_refused_in_one_line(data) -> None:
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    start = data.draw(st.sampled_from([0, 0, 1, 50]))
    words = told(bytes(content[start:]))
    assert words.isprintable()
    assert len(words) < 260


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "does not begin as an .npz file does"),
        (b"hello" * 20, "does not begin"),
        (b"hello" + GOOD, "does not begin"),
        (GOOD[:10], "does not end as an .npz file does"),
        (GOOD[:-1], "does not end"),
        (GOOD + b"\0", "does not end"),
        (zipped("a.npy", b"", comment=b"x"), "does not end"),
        (zipped("a.npy", b"hello"), "a: it is cut"),
        (declared("|O", "(3,)"), "a: no array of numbers in C order"),
        (declared("<f4", "(3,)", fortran=True), "a: no array"),
        (declared("|S9", "(3,)"), "a: no array"),
        (declared("<U1", "(3,)"), "a: no array"),
        (declared("|b1", "(3,)"), "a: no array"),
        (declared("<f1", "(3,)"), "a: data type"),
        (declared("<f4", "()"), "bytes, but"),
        (declared("<f4", "(3,)"), "68 bytes, but its header declares 80"),
        (declared("|u1", f"({'9' * 17}, {'9' * 17})"), "bytes, but its header declares 9,999"),
        (declared("|u1", f"({'9' * 19},)"), "a: no array"),
        (declared("|u1", "(-1,)"), "a: no array"),
        (zipped("a.npy", b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535), "a: no array"),
        (zipped("a.npy", b"\x93NUMPY\x02\x00" + bytes(100)), "a: no array"),
        (written(a=np.zeros(3) > 1), "a: no array"),
        (written(a=np.zeros(3, complex)), "a: no array"),
        (zipped("a.npy", b"", zipfile.ZIP_BZIP2), "compression 12, expected none or deflate"),
        (written(**{f"a{at}": np.zeros(1) for at in range(17)}), "17 members, expected at most 16"),
    ],
)  # fmt: skip
def test_what_is_refused(content: bytes, words: str) -> None:
    assert words in told(content)
    assert told(content).isprintable()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["a", "a.npy"])
def test_two_members_of_one_name_are_refused(name: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.npy", b"")
        archive.writestr(name, b"")
    assert "of different names" in told(file.getvalue())


def test_the_directory_of_a_large_file_is_not_read() -> None:
    """A record at the end of a file that has more than 4 GB would stand before the usual one."""
    assert "more than 4 GB" in told(GOOD[:-22] + b"PK\x06\x07" + bytes(16) + GOOD[-22:])


def test_a_checksum_that_differs_is_told() -> None:
    content = bytearray(written(a=np.zeros(100, np.uint8)))
    content[content.index(b"\n") + 5] = 1
    assert told(bytes(content)).startswith("a: Bad CRC-32")


@pytest.mark.parametrize(("rows", "words"), [(64, ""), (1, "a: 67,108,9")])
def test_a_bomb_takes_no_memory(rows: int, words: str) -> None:
    """64 MB of zeros in 64 KB are read in parts, or refused if the header declares less."""
    content = zipped("a.npy", header("|u1", f"({rows}, 1048576)") + bytes(64 << 20))
    tracemalloc.start()
    assert told(content).startswith(words)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20, f"{peak >> 20} MB for parts of 3 MB"
