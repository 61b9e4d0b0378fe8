"""The structure of a file tells whether it was cut, whatever bytes it holds."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.file_structure import boxes, is_cut, track_matrix
from edge.capture.regular_file import WatchedFile

MOV = "mov,mp4,m4a,3gp,3g2,mj2"  # FFmpeg's names
CONTAINERS = (MOV, "matroska,webm", "avi", "gif", "mpegts", "flv")


def box(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def cut(tmp_path: Path, data: bytes, container: str) -> bool:
    (tmp_path / "a").write_bytes(data)
    with WatchedFile(tmp_path / "a") as file:
        return is_cut(file, container)


def matroska(size: int | None, cluster: int, content: int) -> bytes:
    """A segment of ``size`` bytes (None: unknown) with a cluster of ``cluster``; ``content`` are there."""
    length = b"\x01" + (b"\xff" * 7 if size is None else size.to_bytes(7, "big"))
    head = b"\x1a\x45\xdf\xa3\x80" + b"\x18\x53\x80\x67" + length + b"\x1f\x43\xb6\x75"
    return head + bytes([0x40 | cluster >> 8, cluster & 255]) + bytes(content)


@pytest.mark.parametrize(
    ("container", "whole"),
    [
        (MOV, box(b"ftyp", b"isom") + box(b"moov", bytes(20)) + box(b"mdat", bytes(40))),
        (MOV, struct.pack(">I4sQ", 1, b"mdat", 56) + bytes(40)),
        ("matroska,webm", matroska(46, 40, 40)),
        ("matroska,webm", matroska(None, 40, 40)),
        ("avi", b"RIFF" + struct.pack("<I", 40) + bytes(40)),
        ("avi", b"RIFF" + struct.pack("<I", 40) + bytes(40) + b"RIFF" + struct.pack("<I", 40) + bytes(40)),
        ("gif", b"GIF89a" + bytes(50) + b"\x3b"),
        ("mpegts", bytes(188 * 3)),
        ("mpegts", bytes(192 * 3)),
    ],
)  # fmt: skip
def test_a_cut_file_is_told_from_a_whole_one(tmp_path: Path, container: str, whole: bytes) -> None:
    assert not cut(tmp_path, whole, container)
    for lost in (1, 7, 30):
        assert cut(tmp_path, whole[:-lost], container), f"{lost} bytes are missing"


def test_what_stands_behind_the_last_box_is_no_cut(tmp_path: Path) -> None:
    whole = box(b"ftyp") + box(b"moov", bytes(20)) + struct.pack(">I4s", 0, b"mdat") + bytes(9)
    assert not cut(tmp_path, whole, CONTAINERS[0]), "a size of 0 means until the end"
    assert not cut(tmp_path, box(b"moov", bytes(20)) + b"trailing garbage", CONTAINERS[0])


@given(st.binary(min_size=1, max_size=200), st.sampled_from(CONTAINERS), st.integers(0, 60))
def test_any_bytes_are_judged(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, container: str, at: int
) -> None:
    heads = (box(b"moov", box(b"trak", box(b"tkhd", bytes(84)))), matroska(None, 40, 40), b"RIFF    AVI ")
    path = tmp_path_factory.mktemp("any") / "a"
    for head in heads:
        path.write_bytes(head[:at] + data)
        with WatchedFile(path) as file:
            assert is_cut(file, container) in (True, False)
            assert len(track_matrix(file, 1)) in (0, 36)
            assert all(box.start <= box.end for box in boxes(file, 0, file.size))


@pytest.mark.parametrize("version", [0, 1])
def test_the_matrix_of_a_track(tmp_path: Path, version: int) -> None:
    matrix = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    times = bytes(8 if version == 0 else 16)

    def header(track: int, numbers: tuple[int, ...]) -> bytes:
        content = bytes([version, 0, 0, 7]) + times + struct.pack(">I", track)
        content += bytes(24 if version == 0 else 28) + struct.pack(">9i", *numbers) + bytes(8)
        return box(b"trak", box(b"tkhd", content))

    movie = box(b"moov", box(b"mvhd", bytes(9)) + header(1, (0,) * 9) + header(2, matrix))
    (tmp_path / "a").write_bytes(box(b"ftyp") + movie)
    with WatchedFile(tmp_path / "a") as file:
        assert track_matrix(file, 2) == struct.pack("=9i", *matrix)
        assert track_matrix(file, 1) == bytes(36)
        assert track_matrix(file, 3) == b""
