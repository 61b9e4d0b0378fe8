"""The annotated clip: whole, in its own time, never half under its final name."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from contracts import check_picture_sink
from estimates import estimate
from full_disk import full_disk
from hypothesis import given
from hypothesis import strategies as st

from edge.data import Frame
from edge.errors import ConfigError, DependencyError
from edge.sinks.video import VideoSink

ESTIMATE = estimate((0.1, 0.7, 0.15, 0.05))


def frame(i: int, gap_s: float = 0.05, shape: tuple[int, ...] = (240, 320, 3)) -> Frame:
    return Frame(np.full(shape, 80, np.uint8), i * gap_s, i)


NOISE = [  # each takes kilobytes in a clip
    Frame(np.random.default_rng(i).integers(0, 255, (64, 64, 3), np.uint8), i * 0.1, i) for i in range(25)
]


def read(path: Path) -> tuple[int, float, tuple[int, int]]:
    """Frames, seconds and size of a clip; every frame is decoded."""
    with av.open(str(path)) as clip:
        frames = [(f.width, f.height) for f in clip.decode(video=0)]
        return len(frames), clip.duration / 1e6, frames[0]


@pytest.mark.parametrize("shape", [(240, 320, 3), (240, 320), (33, 57, 3), (1, 1, 3)])
def test_contract_in_color_and_luma(tmp_path: Path, shape: tuple[int, ...]) -> None:
    check_picture_sink(VideoSink(str(tmp_path / "out.mp4")), frame(0, shape=shape), [ESTIMATE])
    assert read(tmp_path / "out.mp4")[0] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(("count", "seconds"), [(1, 1.0), (2, 0.1), (30, 1.5)])
def test_every_frame_is_kept(tmp_path: Path, count: int, seconds: float) -> None:
    with VideoSink(str(tmp_path / "out.mp4")) as sink:
        for i in range(count):
            sink.write(frame(i), [])
        assert not (tmp_path / "out.mp4").exists(), "a half file stands under the final name"
    assert read(tmp_path / "out.mp4") == (count, pytest.approx(seconds, abs=0.002), (320, 240))


def test_no_frame_no_file(tmp_path: Path) -> None:
    with VideoSink(str(tmp_path / "out.mp4")):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_clip_of_ours_is_replaced_and_a_file_of_others_is_not(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    for count in (2, 3):
        with VideoSink(str(path)) as sink:
            for i in range(count):
                sink.write(frame(i), [])
        assert read(path)[0] == count
    path.write_text("of somebody else")
    with pytest.raises(ConfigError, match="was not written by emotion-edge"):
        VideoSink(str(path))
    with VideoSink(str(path), force=True) as sink:
        sink.write(frame(0), [])
    assert read(path)[0] == 1


def test_another_size_is_fitted_to_the_first(tmp_path: Path) -> None:
    with VideoSink(str(tmp_path / "out.mp4")) as sink:
        for i in range(5):
            sink.write(frame(i, shape=(240, 320, 3) if i < 3 else (100, 90, 3)), [])
    assert read(tmp_path / "out.mp4") == (5, pytest.approx(0.25, abs=0.002), (320, 240))


def test_the_clip_is_as_large_as_what_is_drawn_on(tmp_path: Path) -> None:
    drawn = np.full((360, 640, 3), 80, np.uint8)
    looked_at = Frame(np.zeros((240, 320), np.uint8), 0.0, 0, drawn=drawn)
    check_picture_sink(VideoSink(str(tmp_path / "out.mp4")), looked_at, [ESTIMATE])
    assert read(tmp_path / "out.mp4")[2] == (640, 360)


def test_wrong_paths(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.avi.*\.mp4"):
        VideoSink(str(tmp_path / "out.avi"))
    with pytest.raises(ConfigError, match="mkdir -p"):
        VideoSink(str(tmp_path / "none" / "out.mp4"))
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        VideoSink(str(tmp_path / "folder.mp4"))


def test_an_interrupted_run_leaves_a_whole_clip(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), VideoSink(str(tmp_path / "out.mp4")) as sink:  # noqa: PT012
        for i in range(7):
            sink.write(frame(i), [])
        raise KeyboardInterrupt
    assert read(tmp_path / "out.mp4")[0] == 7


def sizes(folder: Path) -> tuple[int, int]:
    """Bytes after the first fragment, of two seconds, and of the whole part, for ``NOISE``."""
    with VideoSink(str(folder / "size.mp4")) as sink:
        for frame in NOISE:
            sink.write(frame, [])
        (part,) = folder.glob("*.part")
        first = part.stat().st_size
    return first, (folder / "size.mp4").stat().st_size


@pytest.mark.parametrize("place", ["in the middle", "with the last bytes"])
def test_a_full_disk_leaves_a_part_that_plays(tmp_path: Path, place: str) -> None:
    first, whole = sizes(tmp_path)
    path = tmp_path / "size.mp4"
    before = path.read_bytes()
    at_bytes = first // 2 if place == "in the middle" else whole - 3000
    with pytest.raises(ConfigError) as raised, full_disk(at_bytes), VideoSink(str(path)) as sink:  # noqa: PT012
        for frame in NOISE:
            sink.write(frame, [])
    assert re.search(
        r"size\.mp4 cannot be written \(.*\); free space or choose another path; what was written is in ",
        str(raised.value),
    )
    assert path.read_bytes() == before, "the clip of the earlier run"
    (part,) = tmp_path.glob(".*.part")
    assert str(part) in str(raised.value)
    with av.open(str(part)) as clip:
        assert next(clip.decode(video=0)).width == 64


@given(share=st.floats(0, 1.3))
def test_a_full_disk_never_leaves_a_broken_clip(
    tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    """At whatever byte the disk is full: the clip is whole, or it is not there and the run fails."""
    folder = tmp_path_factory.mktemp("full")
    _, whole = sizes(folder)
    (folder / "size.mp4").unlink()
    failed = ""
    try:
        with full_disk(int(share * whole)), VideoSink(str(folder / "out.mp4")) as sink:
            for frame in NOISE:
                sink.write(frame, [])
    except ConfigError as error:
        failed = str(error)
    left = [path.name for path in folder.iterdir()]
    if failed:
        assert "out.mp4" not in left
        assert [name for name in left if name not in failed] == [], "the part is named"
        assert ("what was written" in failed) == bool(left)
    else:
        assert left == ["out.mp4"]
        assert read(folder / "out.mp4")[0] == len(NOISE)


def test_without_pyav_the_run_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DependencyError, match=r"'emotion-edge\[files\]'.*python3-av"):
        VideoSink(str(tmp_path / "out.mp4"))


def test_size_and_duration_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "out.mp4"
    with caplog.at_level(logging.INFO), VideoSink(str(path)) as sink:
        for i in range(4):
            sink.write(frame(i, 0.5), [])
    assert caplog.messages == [f"{path}: 320x240 pixels, 2.0 s, {path.stat().st_size} bytes"]
