"""An .npz of anybody gives its arrays or one line."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration import arrays
from calibration.collect import load_sequences_of
from edge.bundle import load
from edge.errors import EdgeError


def npz(**named: object) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **named)  # type: ignore[arg-type]
    return content.getvalue()


WHOLE = npz(crops=np.zeros((2, 3, 8, 8), np.uint8), labels=np.arange(3))


def test_the_arrays_come_back(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(WHOLE)
    (tmp_path / "link.npz").symlink_to("a.npz")
    found = arrays.load(tmp_path / "link.npz")
    assert found["crops"].shape == (2, 3, 8, 8)
    assert found["labels"].tolist() == [0, 1, 2]


@given(
    st.integers(0, len(WHOLE)),
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=5),
)
def test_a_damaged_file_gives_arrays_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, end: int, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(WHOLE)
    for at, value in changes:
        data[at] = value
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(data[:end] if end % 2 else data)
    try:
        arrays.load(path)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (200000000, 1000, 48, 48), }"
    header += b" " * (117 - len(header) % 128) + b"\n"
    huge = io.BytesIO()
    with zipfile.ZipFile(huge, "w") as archive:
        archive.writestr("crops.npy", b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as member:
        member.write(bytes(1000))
    lying = bomb.getvalue().replace((1000).to_bytes(4, "little"), (0xFFFF_FFF0).to_bytes(4, "little"))
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(arrays.MOST_ARRAYS + 1):
            archive.writestr(f"{number}.npy", b"")
    pickled = npz(crops=np.array([{}], object))
    for data in (huge.getvalue(), lying, many.getvalue(), pickled, b"", b"PK\3\4", WHOLE[:200]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"\w"):
            arrays.load(path)
        with pytest.raises(EdgeError, match=r"holds neither 'crops' nor 'images' and 'labels'"):
            load_sequences_of(str(path), load().manifest)
    os.remove(path)
    os.mkfifo(path)
    with pytest.raises(ValueError, match="it is a named pipe, expected a regular file"):
        arrays.load(path)
