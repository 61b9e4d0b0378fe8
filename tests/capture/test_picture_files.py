"""A picture takes memory and time only within the limit, whatever its header says."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import made_clips as clips
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import session
from edge.capture.picture_files import decoded, read_picture
from edge.capture.picture_headers import SUFFIXES, scans_of, size_of
from edge.config import Config, LimitsConfig, SourceConfig
from edge.errors import SourceError

HUGE = 30_000  # a side
SMALL = cv2.imencode(".jpg", np.zeros((64, 64), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
SOF = SMALL.index(b"\xff\xc2")
# A picture, without this program's own libraries: what is left is the decoder's memory.
PROGRAM = """
import resource, sys
from edge.capture.picture_files import read_picture
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_picture(sys.argv[1], 64_000_000)
finally:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(side: int, first: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(1 + side)) for _ in range(side)) + rows.flush()
    return b"\x89PNG\r\n\x1a\n" + first + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff(*tags: tuple[int, int, int]) -> bytes:
    """A gray TIFF; each tag is a number, the type of its value, and that."""
    common = ((258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 900), (277, 3, 1), (279, 4, 100))
    rows = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in sorted(common + tags))
    return b"II*\0" + struct.pack("<IH", 8, len(common + tags)) + rows + bytes(2000)


def long_tiff() -> bytes:
    """Width and height of 64 bits, which stand elsewhere: the tags hold only where."""
    data = bytearray(tiff((256, 16, 500), (257, 16, 508)))
    data[500:516] = struct.pack("<QQ", HUGE, HUGE)
    return bytes(data)


def sized(side: int) -> bytes:
    """The frame header of SMALL with another size."""
    return SMALL[SOF : SOF + 5] + struct.pack(">HH", side, side) + SMALL[SOF + 9 : SOF + 13]


def vp8x(side: int, inner: bytes) -> bytes:
    edge = (side - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + edge + edge + inner
    return b"RIFF" + struct.pack("<I", len(body)) + body


LIES: dict[str, Callable[[], bytes]] = {
    "PNG with a text before its header": lambda: png(9000, chunk(b"tEXt", struct.pack(">II", 9, 9))),
    "PNG with a chunk of gigabytes": lambda: png(90).replace(b"IDAT", b"IDAT" + bytes(40), 1).replace(
        png(90)[33:37], b"\x7f\xff\xff\xff", 1
    ),
    "PNG that ends within a chunk": lambda: png(90)[:-20],
    "JPEG with a header inside a comment": lambda: (
        SMALL[:SOF] + b"\xff\xfe\0\x0f" + sized(9) + sized(HUGE) + SMALL[SOF + 13 :]
    ),
    "JPEG with two headers": lambda: SMALL[:SOF] + sized(9) + sized(HUGE) + SMALL[SOF + 13 :],
    "PNM with a comment that ends twice": lambda: (
        b"P5\n#\r%d %d\r255\n9 9\n255\n" % (HUGE, HUGE) + bytes(2000)
    ),
    "TIFF with each tag twice": lambda: tiff(
        (256, 4, HUGE), (257, 4, HUGE), (256, 4, HUGE + 1), (257, 4, HUGE + 1)
    ).replace(struct.pack("<HHII", 256, 4, 1, HUGE + 1), struct.pack("<HHII", 256, 4, 1, 9)),
    "TIFF with numbers of 64 bits": long_tiff,
    "TIFF with huge tiles": lambda: tiff((256, 4, 9), (257, 4, 9), (322, 4, 16_384), (323, 4, 16_384)),
    "WebP with a small canvas": lambda: vp8x(
        9, cv2.imencode(".webp", np.zeros((9000, 9000), np.uint8))[1].tobytes()[12:]
    ),
    "BMP of a negative size": lambda: b"BM" + bytes(12) + struct.pack("<Iii", 40, 9, -(2**31)) + bytes(99),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_header_that_lies_takes_no_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(LIES[name]())
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert "SourceError" in done.stderr, f"it was read: {done.stderr}"
    assert int(done.stdout) < 64, f"{done.stdout} MB"


@given(
    st.sampled_from(SUFFIXES), st.booleans(),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=6),
)  # fmt: skip
def test_a_changed_picture_has_the_size_of_its_header_or_is_refused(
    suffix: str, color: bool, changes: list[tuple[int, int]]
) -> None:
    shape = (20, 30, 3) if (color and suffix not in (".pbm", ".pgm")) or suffix == ".ppm" else (20, 30)
    data = bytearray(cv2.imencode(suffix, np.zeros(shape, np.uint8))[1].tobytes())
    for at, value in changes:
        data[at % len(data)] = value
    try:
        image = decoded(bytes(data), 2_000_000)
    except SourceError:
        return
    size = size_of(bytes(data))
    assert size is not None
    assert sorted(image.shape[:2]) == sorted(size)  # EXIF data may turn it


def test_a_jpeg_of_many_scans_is_refused_at_once(tmp_path: Path) -> None:
    data = cv2.imencode(".jpg", np.zeros((6000, 8000), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1]
    whole = data.tobytes()
    last = whole[whole.rindex(b"\xff\xda") : -2]
    assert 2 < scans_of(whole) < 20
    # A film that a telephone appends counts as little as a thumbnail.
    thumbnail = b"\xff\xe1" + struct.pack(">H", 2 + len(SMALL)) + SMALL
    assert scans_of(whole[:2] + thumbnail + whole[2:] + last * 99) == scans_of(whole)
    path = tmp_path / "scans.jpg"
    path.write_bytes(whole[:-2] + last * 2000 + whole[-2:])  # libjpeg-turbo takes minutes for it
    began = time.monotonic()
    with pytest.raises(SourceError, match=r"it has \d+ scans, at most 64 are read"):
        read_picture(path, 64_000_000)
    assert time.monotonic() - began < 2


def test_the_limit_is_a_setting_for_pictures_and_videos(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(100))
    clips.write(tmp_path / "b.mp4", 3)  # 64 x 48 pixels
    clips.write(tmp_path / "c.mjpeg", 3, codec="mjpeg", pix_fmt="yuvj420p", muxer="mjpeg")
    for name, pixels in (("a.png", 10_000), ("b.mp4", 3072), ("c.mjpeg", 3072)):
        for share in (1.0, 0.99):
            limits = LimitsConfig(picture_megapixels=pixels * share / 1e6)
            source = SourceConfig(address=str(tmp_path / name), fps=25.0)
            with session.parts(Config(source=source, limits=limits)) as parts:
                if share == 1.0:
                    assert len(list(parts.frames)) == (1 if name == "a.png" else 3)
                else:
                    with pytest.raises(SourceError, match=r"pixels, at most .* limits.picture_megapixels"):
                        list(parts.frames)


def test_a_file_beyond_any_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.png"
    path.write_bytes(png(10))
    os.truncate(path, 1 << 40)
    with pytest.raises(SourceError, match="it has 1,099,511,627,776 bytes, at most"):
        read_picture(path, 64_000_000)


def test_a_pipe_that_takes_the_place_of_a_picture_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(SourceError, match="it is a named pipe"):
        read_picture(tmp_path / "a.png", 1000)
