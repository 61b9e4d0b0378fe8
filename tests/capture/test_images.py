"""A folder of images: natural order, steady times, bad files skipped aloud."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from contracts import check_source
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.images import ImageFolderSource, natural_key
from edge.errors import SourceError


def put(folder: Path, name: str, gray: int = 0) -> None:
    assert cv2.imwrite(str(folder / name), np.full((20, 30, 3), gray, np.uint8))


def test_natural_order_and_times(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        put(tmp_path, f"img{number}.png", number)
    frames = check_source(ImageFolderSource(tmp_path, fps=4.0))
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 2, 10]
    assert [frame.timestamp_s for frame in frames] == [0.0, 0.25, 0.5]


def test_every_suffix_is_read_and_others_are_not(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.JPEG", "c.png", "d.bmp", "e.webp"):
        put(tmp_path, name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "f.png").mkdir()
    source = ImageFolderSource(tmp_path)
    assert source.frame_count == 5
    assert len(check_source(source)) == 5


def test_an_unreadable_image_is_skipped_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, "1.png")
    (tmp_path / "2.png").write_text("no image")
    put(tmp_path, "3.png")
    assert [frame.index for frame in check_source(ImageFolderSource(tmp_path))] == [0, 2]
    assert "2.png" in caplog.text


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no image"):
        ImageFolderSource(tmp_path)
    with pytest.raises(SourceError, match="does not exist"):
        ImageFolderSource(tmp_path / "none")
    (tmp_path / "bad.png").write_text("no image")
    with pytest.raises(SourceError, match="is a file"):
        ImageFolderSource(tmp_path / "bad.png")
    with pytest.raises(SourceError, match="none of the 1 images"):
        list(ImageFolderSource(tmp_path).frames())
    with pytest.raises(SourceError, match="fps is 0"):
        ImageFolderSource(tmp_path, fps=0)


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_numbers_sort_as_numbers(numbers: list[int]) -> None:
    names = sorted((f"cam-{number}.png" for number in numbers), key=natural_key)
    assert names == [f"cam-{number}.png" for number in sorted(numbers)]


@given(st.lists(st.text(max_size=8)))
def test_any_names_can_be_compared(names: list[str]) -> None:
    keys = sorted(natural_key(name) for name in names)  # a TypeError here would end a run
    assert all(a <= b for a, b in itertools.pairwise(keys))
