"""A folder of images: natural order, steady times; what is no frame takes no place and is told once."""

from __future__ import annotations

import itertools
import logging
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from contracts import check_source
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.images import ImageSource, natural_key
from edge.errors import SourceError


def put(folder: Path, name: str, gray: int = 0) -> None:
    data = cv2.imencode(Path(name).suffix, np.full((20, 30, 3), gray, np.uint8))[1]
    (folder / name).write_bytes(data.tobytes())  # OpenCV crashes if a name is no UTF-8


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png(side: int) -> bytes:
    """A PNG whose header promises ``side`` x ``side`` pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_natural_order_and_times(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        put(tmp_path, f"img{number}.png", number)
    frames = check_source(ImageSource(tmp_path, fps=4.0))
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 2, 10]
    assert [frame.timestamp_s for frame in frames] == [0.0, 0.25, 0.5]


def test_every_suffix_is_read_and_others_are_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read = ("a.jpg", "b.JPEG", "c.png", "d.bmp", "e.webp", "f.tif", "g.TIFF", "h.ppm", "i.dib")
    for name in read:
        put(tmp_path, name)
    put(tmp_path, "._a.jpg.png")
    for name in ("notes.txt", "1.heic", "2.heic", ".DS_Store", "._c.png", "Thumbs.db", "README"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "f.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    source = ImageSource(tmp_path)
    assert source.frame_count == len(read)
    assert len(check_source(source)) == len(read)
    others = "1 .txt, 1 pipe or device, 1 without a suffix"
    assert caplog.messages == [f"{tmp_path}: passed over 4 hidden, 2 .heic, {others}"]


def test_hidden_files_alone_are_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    put(tmp_path, "1.png")
    put(tmp_path, ".1.png")
    assert len(check_source(ImageSource(tmp_path))) == 1
    assert [record.levelno for record in caplog.records] == [logging.INFO]


def test_broken_images_leave_gaps_and_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, "1.png")
    (tmp_path / "2.png").write_text("no image")
    put(tmp_path, "3.png")
    (tmp_path / "4.png").write_bytes(huge_png(40_000))
    (tmp_path / "5.png").write_bytes(huge_png(20_000))
    (tmp_path / "6.png").write_bytes(b"")
    (tmp_path / "7.png").write_bytes((tmp_path / "1.png").read_bytes()[:40])
    put(tmp_path, "8.png")
    frames = check_source(ImageSource(tmp_path))
    assert [frame.index for frame in frames] == [0, 2, 7]
    assert [frame.timestamp_s for frame in frames] == pytest.approx([0, 0.2, 0.7])
    reason = "2.png: it is no picture, or its header is broken"
    assert caplog.messages == [f"{tmp_path}: passed over 5 broken ({reason}, ...)"]


@pytest.mark.parametrize("side", [40_000, 20_000])
def test_a_huge_header_takes_no_memory_and_names_its_size(tmp_path: Path, side: int) -> None:
    (tmp_path / "a.png").write_bytes(huge_png(side))
    with pytest.raises(SourceError, match=f"its header says {side}x{side} pixels, at most 64,000,000"):
        list(ImageSource(tmp_path / "a.png").frames())


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", ".", "._", "caf\udce9", "a:b", "%03d"]),
            st.sampled_from([".png", ".PNG", ".jpg", ".heic", ".txt", ""]),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_any_folder_is_read_to_its_end(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, str, bool]]
) -> None:
    folder, good = tmp_path_factory.mktemp("any"), cv2.imencode(".png", np.full((4, 4, 3), 9, np.uint8))[1]
    frames = []
    for number, (prefix, suffix, whole) in enumerate(files):
        content = good.tobytes() if whole else good.tobytes()[: 9 + number]
        (folder / f"{prefix}{number}{suffix}").write_bytes(content)
        if suffix.lower() in (".png", ".jpg") and not prefix.startswith("."):
            frames.append(whole)
    if not any(frames):
        with pytest.raises(SourceError, match=r"holds no image|none of the"):
            list(ImageSource(folder).frames())
        return
    source = ImageSource(folder)
    assert source.frame_count == len(frames)
    assert len(check_source(source)) == sum(frames)


def ramp(top: float, kind: npt.DTypeLike) -> npt.NDArray[np.generic]:
    return np.linspace(0, top, 600).reshape(20, 30).astype(kind)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_a_few_bits_in_sixteen_are_not_dark(tmp_path: Path, bits: int, suffix: str) -> None:
    cv2.imwrite(str(tmp_path / f"a{suffix}"), ramp(2**bits - 1, np.uint16))
    (frame,) = check_source(ImageSource(tmp_path))
    assert frame.image.shape == (20, 30, 3)
    assert int(frame.image.max()) == 255
    assert abs(frame.image[..., 0].astype(int) - ramp(255, np.uint8)).max() <= 1


def test_all_pictures_of_a_folder_are_scaled_alike(tmp_path: Path) -> None:
    for number, top in enumerate((4095, 1000, 4000)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((4, 4), top, np.uint16))
    grays = [int(frame.image[0, 0, 0]) for frame in check_source(ImageSource(tmp_path))]
    assert grays == [255, 62, 250]


@pytest.mark.parametrize(("top", "kind"), [(1.0, np.float32), (255.0, np.float32), (1.0, np.float64)])
def test_floats_are_scaled_by_their_white(tmp_path: Path, top: float, kind: npt.DTypeLike) -> None:
    cv2.imwrite(str(tmp_path / "a.tif"), ramp(top, kind))
    (frame,) = check_source(ImageSource(tmp_path))
    assert frame.image.shape == (20, 30, 3)
    assert abs(frame.image[..., 0].astype(int) - ramp(255, np.uint8)).max() <= 1


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_hot_pixel_darkens_no_picture(tmp_path: Path, bits: int) -> None:
    for number in range(2):
        image = np.full((50, 50), 2**bits - 1, np.uint16)
        image[0, :number] = 65535
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    assert [int(frame.image.min()) for frame in check_source(ImageSource(tmp_path))] == [255, 255]


@pytest.mark.parametrize("top", [1.5, 4.0])
def test_light_beyond_white_darkens_no_picture(tmp_path: Path, top: float) -> None:
    cv2.imwrite(str(tmp_path / "a.tif"), ramp(top, np.float32))
    (frame,) = check_source(ImageSource(tmp_path))
    assert int(frame.image.max()) >= 190


def test_numbers_with_a_sign_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.tif"), ramp(100, np.int16))
    with pytest.raises(SourceError, match="its numbers are int16"):
        list(ImageSource(tmp_path / "a.tif").frames())


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize(("orientation", "corner"), list(enumerate("01320132", start=1)))
def test_exif_turns_a_picture(tmp_path: Path, suffix: str, orientation: int, corner: str) -> None:
    """``corner``: where the light top left goes; 0 top left, 1 top right, 2 bottom left, 3 bottom right."""
    stored = np.zeros((20, 30, 3), np.uint8)
    stored[:10, :15] = 255
    data = cv2.imencode(suffix, stored)[1].tobytes()
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    if suffix == ".jpg":
        exif = b"Exif\0\0" + tiff
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    else:
        data = data[:33] + chunk(b"eXIf", tiff) + data[33:]
    (tmp_path / f"a{suffix}").write_bytes(data)
    (frame,) = check_source(ImageSource(tmp_path))
    assert frame.image.shape == ((20, 30, 3) if orientation < 5 else (30, 20, 3))
    corners = [int(frame.image[y, x, 0]) for y in (2, -3) for x in (2, -3)]
    assert int(np.argmax(corners)) == int(corner)


def test_one_picture_is_one_frame(tmp_path: Path) -> None:
    put(tmp_path, "caf\udce9.png", 7)
    put(tmp_path, "other.png")
    source = ImageSource(tmp_path / "caf\udce9.png")
    assert source.frame_count == 1
    (frame,) = check_source(source)
    assert (frame.index, frame.timestamp_s, int(frame.image[0, 0, 0])) == (0, 0.0, 7)


def test_further_pictures_of_a_file_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pages = [np.full((4, 4, 3), number, np.uint8) for number in range(3)]
    cv2.imwritemulti(str(tmp_path / "a.tif"), pages)
    put(tmp_path, "b.png")
    assert len(check_source(ImageSource(tmp_path))) == 2
    told = "only the first picture of a.tif is read; make a video or single pictures of it"
    assert caplog.messages == [f"{tmp_path}: {told}"]


def test_a_link_to_nothing_leaves_a_gap(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "1.png").symlink_to("unplugged.png")
    put(tmp_path, "3.png")
    (frame,) = check_source(ImageSource(tmp_path))
    assert frame.index == 1
    reason = "1.png: it cannot be read (No such file or directory)"
    assert caplog.messages == [f"{tmp_path}: passed over 1 broken ({reason})"]


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no image; put"):
        ImageSource(tmp_path)
    with pytest.raises(SourceError, match="does not exist"):
        ImageSource(tmp_path / "none")
    (tmp_path / "bad.heic").write_text("no image")
    with pytest.raises(SourceError, match=r"holds no image \(passed over: 1 .heic\); put"):
        ImageSource(tmp_path)
    (tmp_path / "bad.png").write_text("no image")
    with pytest.raises(SourceError, match=r"bad.png cannot be read \(it is no picture"):
        list(ImageSource(tmp_path / "bad.png").frames())
    with pytest.raises(SourceError, match="none of the 1 images"):
        list(ImageSource(tmp_path).frames())
    with pytest.raises(SourceError, match="fps is 0"):
        ImageSource(tmp_path, fps=0)


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_numbers_sort_as_numbers(numbers: list[int]) -> None:
    names = sorted((f"cam-{number}.png" for number in numbers), key=natural_key)
    assert names == [f"cam-{number}.png" for number in sorted(numbers)]


@given(st.lists(st.text(max_size=8)))
def test_any_names_can_be_compared(names: list[str]) -> None:
    keys = sorted(natural_key(name) for name in names)  # a TypeError here would end a run
    assert all(a <= b for a, b in itertools.pairwise(keys))
