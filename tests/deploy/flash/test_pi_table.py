"""The reader of partition tables, against sfdisk's own tables, and against whatever else a file may hold."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.deploy.flash.pi_table import SECTOR, Partition, read
from edge.errors import ConfigError

SIZE = 8 << 20
LAYOUT = "label: {label}\nstart=2048,size=4096,type={fat}\nstart=8192,size=6144,type={linux}\n"
KINDS = {
    "dos": ("c", "83"),
    "gpt": ("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"),
}


@pytest.fixture(params=KINDS)
def table(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    if not shutil.which("sfdisk"):
        pytest.skip("sfdisk is not there")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(SIZE)
    fat, linux = KINDS[request.param]
    text = LAYOUT.format(label=request.param, fat=fat, linux=linux)
    subprocess.run(["sfdisk", "-q", str(image)], input=text.encode(), check=True, capture_output=True)
    return image.read_bytes()


def test_both_kinds_of_table_give_the_same_partitions(table: bytes) -> None:
    expected = [Partition(1, "fat", 1 << 20, 2 << 20), Partition(2, "linux", 4 << 20, 3 << 20)]
    assert read(io.BytesIO(table), SIZE) == expected


def test_a_file_that_ends_before_its_partitions_is_told_with_both_figures(table: bytes) -> None:
    with pytest.raises(
        ConfigError, match="is cut off: its partitions end at byte 7340032, the file at 7340031"
    ):
        read(io.BytesIO(table[: (7 << 20) - 1]), (7 << 20) - 1)


def test_a_bit_that_fell_over_in_a_gpt_is_found(table: bytes) -> None:
    if table[512:520] != b"EFI PART":
        pytest.skip("an MBR has no checksum")
    for place in (SECTOR + 20, SECTOR + 72, 2 * SECTOR + 40):
        broken = bytearray(table)
        broken[place] ^= 1
        with pytest.raises(ConfigError, match=r"checksum|GPT of"):
            read(io.BytesIO(broken), SIZE)


ROW = st.tuples(
    st.sampled_from((0, 0x80, 1)),
    st.sampled_from((0, 5, 0x0C, 0x83, 0xEE)),
    st.one_of(st.integers(0, 64), st.integers(0, 2**32 - 1)),
    st.one_of(st.integers(0, 64), st.integers(0, 2**32 - 1)),
)


@given(st.lists(ROW, min_size=4, max_size=4), st.binary(max_size=3 * SECTOR))
def test_whatever_is_read_lies_within_the_file_and_on_nothing_else(
    rows: list[tuple[int, int, int, int]], rest: bytes
) -> None:
    data = bytes(446) + b"".join(struct.pack("<B3xB3xII", *row) for row in rows) + b"\x55\xaa" + rest
    data += bytes(max(0, 64 * SECTOR - len(data)))
    try:
        found = read(io.BytesIO(data), len(data))
    except ConfigError:
        return
    ends = [SECTOR, *(partition.start + partition.size for partition in found)]
    assert all(partition.start >= end for partition, end in zip(found, ends, strict=False))
    assert ends[-1] <= len(data)
    assert len(found) == len({partition.number for partition in found}) > 0


@given(st.binary(max_size=4 * SECTOR))
def test_any_bytes_are_a_table_or_a_fault_of_the_image(data: bytes) -> None:
    with suppress(ConfigError):
        read(io.BytesIO(data), len(data))
