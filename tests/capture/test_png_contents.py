"""A PNG of kilobytes that unpacks to gigabytes is refused at once, in a picture, an animation and a clip."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture import png_contents
from edge.capture.files import FileSource
from edge.capture.picture_files import decoded
from edge.errors import SourceError

SIDE = 200
MOST = 1_000_000  # pixels
ROOT = str(Path(__file__).parents[2])
# Not ru_maxrss: a child begins with what its parent has, and that may be a gigabyte.
MEMORY = "print(int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) // 1024)"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def zeros(megabytes: int) -> bytes:
    stream = zlib.compressobj(9)
    return b"".join(stream.compress(bytes(1 << 20)) for _ in range(megabytes)) + stream.flush()


def png(*before: bytes, pixels: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0))
    data = pixels or zlib.compress(bytes((1 + SIDE) * SIDE))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def apng(before: bytes = b"", between: bytes = b"", pixels: bytes = b"") -> bytes:
    """Two frames; ``pixels`` are those of the second one."""
    control = [
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, SIDE, SIDE, 0, 0, 1, 1, 0, 0)) for number in (0, 1)
    ]
    plain = zlib.compress(bytes((1 + SIDE) * SIDE))
    return b"".join([
        b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)),
        chunk(b"acTL", struct.pack(">II", 2, 0)), before, control[0], chunk(b"IDAT", plain), control[1],
        between, chunk(b"fdAT", struct.pack(">I", 2) + (pixels or plain)), chunk(b"IEND", b""),
    ])  # fmt: skip


BOMB = zeros(80)
TEXT = zeros(20)
BOMBS = {
    "a profile": png(chunk(b"iCCP", b"a\0\0" + TEXT)),
    "a text": png(chunk(b"zTXt", b"a\0\0" + TEXT)),
    "a text of Unicode": png(chunk(b"iTXt", b"a\0\1\0de\0\0" + TEXT)),
    "many texts": png(chunk(b"zTXt", b"a\0\0" + zeros(1)) * 20),
    "pixels": png(pixels=BOMB),
    "pixels in pieces": png(chunk(b"IDAT", BOMB[:1000]), pixels=BOMB[1000:]),
}


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb need not be a large one."""
    monkeypatch.setattr(png_contents, "_MOST_PIXEL_BYTES", 1 << 25)


@pytest.mark.parametrize("name", BOMBS)
def test_a_picture_is_refused(name: str) -> None:
    with pytest.raises(SourceError, match="unpack to more than"):
        decoded(BOMBS[name], MOST)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(BOMBS["many texts"], id="a picture"),
        pytest.param(BOMBS["pixels"], id="pixels"),
        pytest.param(apng(chunk(b"zTXt", b"a\0\0" + zeros(1)) * 20), id="text before an animation"),
    ],
)
@pytest.mark.parametrize("container", ["", "mov", "avi"])
def test_a_clip_is_refused(data: bytes, container: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(in_container(data, container) if container else data)
    with FileSource(path, most_pixels=MOST) as source:
        # Not pix_fmt, which PyAV 17 reads through a null pointer where there is none.
        assert source._stream.codec_context.format is None, "FFmpeg decoded it while it opened the file"
        with pytest.raises(SourceError, match="unpack to more than"):
            list(source.frames())


def test_a_frame_of_an_animation_is_left_out(tmp_path: Path) -> None:
    frames = {}
    for name, data in {
        "whole": apng(), "text": apng(between=chunk(b"zTXt", b"a\0\0" + TEXT)), "pixels": apng(pixels=BOMB)
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
        with FileSource(tmp_path / name, most_pixels=MOST) as source:
            frames[name] = len(list(source.frames()))
    assert frames == {"whole": 2, "text": 1, "pixels": 1}


def in_container(data: bytes, name: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=name) as container:
        stream = container.add_stream("png", rate=10)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "gray"
        packet = av.Packet(data)
        packet.stream, packet.pts, packet.dts = stream, 0, 0
        packet.time_base = Fraction(1, 10)
        container.mux(packet)
    return file.getvalue()


@given(
    st.integers(1, 30), st.integers(1, 30), st.sampled_from([1, 3, 4]), st.booleans(), st.integers(0, 9),
    st.binary(max_size=200),
)  # fmt: skip
def test_what_a_program_writes_is_never_refused(
    width: int, height: int, colors: int, deep: bool, level: int, text: bytes
) -> None:
    image = np.arange(width * height * colors).reshape(height, width, colors) * 977 % (65536 if deep else 256)
    data = cv2.imencode(".png", image.astype(np.uint16 if deep else np.uint8), [16, level])[1].tobytes()
    whole = data[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(text)) + data[33:]
    png_contents.check(whole, width * height)
    assert decoded(whole, width * height).shape == (height, width, 3)


def test_as_much_as_is_allowed_is_read() -> None:
    profile = zeros(16)
    png_contents.check_texts(png_contents.in_memory(png(chunk(b"iCCP", b"a\0\0" + profile))))
    with pytest.raises(SourceError, match="texts"):
        png_contents.check_texts(
            png_contents.in_memory(png(chunk(b"iCCP", b"a\0\0" + profile), chunk(b"zTXt", b"a\0\0" + TEXT)))
        )


def packed_header(path: Path, megabytes: int) -> None:
    """A QuickTime file whose header is packed, as programs wrote it before 2005."""
    size = megabytes << 20

    def atom(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", 8 + len(data)) + kind + data

    stream = zlib.compressobj(9)
    body = stream.compress(struct.pack(">I", size) + b"moov" + struct.pack(">I", size - 8) + b"free")
    body += b"".join(stream.compress(bytes(1 << 20)) for _ in range(megabytes)) + stream.flush()
    packed = atom(b"dcom", b"zlib") + atom(b"cmvd", struct.pack(">I", size) + body)
    path.write_bytes(atom(b"ftyp", b"qt  \0\0\0\0qt  ") + atom(b"moov", atom(b"cmov", packed)))


def test_a_packed_header_takes_little_memory(tmp_path: Path) -> None:
    packed_header(tmp_path / "a.mov", 1500)
    program = (
        "import sys\nfrom edge.capture.files import FileSource\nfrom edge.errors import SourceError\n"
        f"try:\n    FileSource(sys.argv[1])\nexcept SourceError:\n    {MEMORY}"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "a.mov")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert int(done.stdout) < 400, done.stderr
