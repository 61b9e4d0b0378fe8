"""The size of a picture is known before memory is taken for it; a picture is known by name and signature."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import made_clips as clips
import numpy as np
import pytest
from contracts import check_source
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.files import FileSource
from edge.capture.picture_headers import SUFFIXES, holds_more, is_float_tiff, is_picture, size_of


@given(st.sampled_from(SUFFIXES), st.integers(1, 70), st.integers(1, 70), st.booleans())
def test_the_size_that_opencv_finds(suffix: str, height: int, width: int, color: bool) -> None:
    shape = (height, width, 3) if color and suffix not in (".pbm", ".pgm") else (height, width)
    if suffix == ".ppm":
        shape = (height, width, 3)
    data = cv2.imencode(suffix, np.zeros(shape, np.uint8))[1].tobytes()
    assert size_of(data) == (height, width)
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2] == (height, width)
    for end in (2, 5, 9, 13, 17, 21, 25):
        size_of(data[:end])  # raises nothing


@given(
    st.binary(max_size=80),
    st.sampled_from([b"", b"II*\0", b"MM\0*", b"BM", b"\x89PNG", b"P5\n", b"\xff\xd8\xff"]),
)
def test_any_bytes_have_a_size_or_none(data: bytes, start: bytes) -> None:
    for head in (start, b"RIFF\0\0\0\0WEBPVP8X", b"RIFF\0\0\0\0WEBPVP8L"):
        size = size_of(head + data)
        assert size is None or min(size) >= 0
        assert is_float_tiff(head + data) in (True, False)
        assert holds_more(head + data) in (True, False)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"P5 # made by hand\n# twice\n30 20\n255\n" + bytes(600), (20, 30)),
        (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\x1d\0\0\x13\0\0", (20, 30)),
        (b"BM" + bytes(12) + b"\x0c\0\0\0\x1e\0\x14\0", (20, 30)),
        (b"BM" + bytes(12) + b"\x28\0\0\0\x1e\0\0\0\xec\xff\xff\xff", (20, 30)),
    ],
)  # fmt: skip
def test_rare_headers(data: bytes, size: tuple[int, int]) -> None:
    assert size_of(data) == size


def test_floats_in_a_tiff_are_recognized() -> None:
    for kind in (np.float32, np.float64, np.uint8, np.uint16):
        data = cv2.imencode(".tif", np.zeros((4, 4), kind))[1].tobytes()
        assert is_float_tiff(data) == (np.dtype(kind).kind == "f")


def test_a_picture_has_the_name_and_the_signature(tmp_path: Path) -> None:
    png = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    for name, data, found in (
        ("a.png", png, True),
        ("a.JPG", png, True),
        ("a.mp4", png, False),
        ("clip.png", b"\0\0\0\x20ftypisom", False),
        ("empty.png", b"", False),
    ):
        (tmp_path / name).write_bytes(data)
        assert is_picture(str(tmp_path / name)) == found, name
    (tmp_path / "folder.png").mkdir()
    assert not is_picture(str(tmp_path / "folder.png"))
    assert not is_picture(str(tmp_path / "none.png"))


def test_an_animated_png_is_a_video(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "a.png", codec="apng", pix_fmt="rgb24", muxer="apng")
    assert holds_more(path.read_bytes())
    assert not is_picture(str(path))
    assert len(check_source(FileSource(path))) == 12


@pytest.mark.parametrize(("flags", "more"), [(0b10, True), (0b1000, False)])
def test_an_animated_webp_says_so(flags: int, more: bool) -> None:
    assert holds_more(b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0" + bytes([flags]) + bytes(9)) == more


@pytest.mark.parametrize(("kind", "more"), [(0, True), (1, False)])
def test_a_thumbnail_is_no_further_page(kind: int, more: bool) -> None:
    first = struct.pack("<IHHHIII", 8, 1, 256, 4, 1, 7, 26)
    second = struct.pack("<HHHIII", 1, 254, 4, 1, kind, 0)
    assert holds_more(b"II*\0" + first + second) == more
