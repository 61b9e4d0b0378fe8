"""Files of strangers: damaged anywhere, without a video, or not what they seem; one line names the cause."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import made_clips as clips
import pytest
from contracts import check_source
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.container import video_of
from edge.capture.files import FileSource
from edge.data import Frame
from edge.errors import SourceError

KINDS = {".mp4": "mpeg4", ".mkv": "libx264", ".avi": "mjpeg", ".ts": "mpeg2video", ".flv": "flv"}
KINDS[".gif"] = "gif"
PIX_FMTS = {".avi": "yuvj420p", ".gif": "rgb8"}


@cache
def whole(folder: Path, suffix: str) -> bytes:
    pix_fmt = PIX_FMTS.get(suffix, "yuv420p")
    return clips.write(folder / f"whole{suffix}", 12, codec=KINDS[suffix], pix_fmt=pix_fmt).read_bytes()


@given(
    suffix=st.sampled_from(sorted(KINDS)),
    share=st.floats(0.05, 1),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(1, 255)), max_size=6),
)
def test_a_file_that_is_damaged_anywhere_gives_frames_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, share: float, flips: list[tuple[float, int]]
) -> None:
    data = bytearray(whole(tmp_path_factory.getbasetemp(), suffix))
    data = data[: max(int(len(data) * share), 1)]
    for place, change in flips:
        data[int(place * len(data))] ^= change
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    path.write_bytes(data)
    frames, said = outcome(path)
    assert frames or said, "nothing, and not a word"
    assert not said or (str(path) in said and "; " in said and "\n" not in said)
    assert all(a.timestamp_s < b.timestamp_s for a, b in pairwise(frames))


def outcome(path: Path) -> tuple[list[Frame], str]:
    """The frames, or what is said instead."""
    try:
        with FileSource(path) as source:
            return list(source.frames()), ""
    except SourceError as error:
        return [], str(error)


@pytest.mark.parametrize("suffix", sorted(KINDS))
def test_a_whole_file_of_each_kind_raises_no_alarm(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"whole{suffix}"
    path.write_bytes(whole(tmp_path, suffix))
    frames = check_source(FileSource(path), at_most=99)
    assert len(frames) == 12
    assert frames[-1].timestamp_s == pytest.approx(1.1, abs=0.02)
    assert not caplog.records


def test_songs_and_sounds_name_what_they_hold(tmp_path: Path) -> None:
    clips.write(tmp_path / "sound.mp4", count=0, late_s=1.0)
    with pytest.raises(SourceError, match=r"has no video stream \(audio only: audio aac\); give"):
        FileSource(tmp_path / "sound.mp4")
    with pytest.raises(SourceError, match=r"has no video stream \(audio only: audio mp"):
        FileSource(clips.write_song(tmp_path / "song.mp3"))


def test_a_picture_of_a_phone_is_no_video(tmp_path: Path) -> None:
    data = clips.write(tmp_path / "photo.mp4", 1).read_bytes()
    (tmp_path / "photo.heic").write_bytes(data.replace(b"ftypisom", b"ftypheic", 1))
    with pytest.raises(SourceError, match=r"photo\.heic is a picture in HEIF format.*; save it as JPEG"):
        FileSource(tmp_path / "photo.heic")


def test_a_video_of_absurd_size_is_refused_by_its_header() -> None:
    stream = SimpleNamespace(codec_context=SimpleNamespace(name="av1", width=60_000, height=60_000))
    stream.disposition = SimpleNamespace(value=1)
    streams = SimpleNamespace(video=[stream], audio=[])
    with pytest.raises(SourceError, match=r"the header of a\.mkv says 60000x60000 pixels"):
        video_of(SimpleNamespace(metadata={}, streams=streams), "a.mkv", 64_000_000)


def test_the_picture_starts_later_than_the_sound(tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv", ".ts"):
        frames = check_source(FileSource(clips.write(tmp_path / f"late{suffix}", late_s=2.0)))
        assert frames[0].timestamp_s == pytest.approx(2.0, abs=0.03), suffix


def test_a_raw_video_of_bits_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    """PyAV 19 raises ValueError for it, not an error of FFmpeg's."""
    data = bytearray(clips.write(tmp_path / "raw.avi", 3, codec="rawvideo", pix_fmt="bgr24").read_bytes())
    data[data.index(b"strf") + 22] = 0xE9  # biBitCount
    (tmp_path / "raw.avi").write_bytes(data)
    frames, said = outcome(tmp_path / "raw.avi")
    assert frames == []
    assert "has no decodable frame" in said
