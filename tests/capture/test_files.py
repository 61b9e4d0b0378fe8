"""Video files are read whole and in order; whatever cannot be read is named in one line."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import made_clips as clips
import numpy as np
import pytest
from contracts import check_source
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.files import FileSource
from edge.errors import DependencyError, SourceError

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "video"
CLIPS = {  # frames that decode; the headers of the MKV and of no_face.mp4 promise more
    "again.mkv": 77,
    "head-pose-face-detection-male.gif": 62,
    "no_face.mp4": 95,
    "noface_face.mov": 169,
}


def shared(name: str) -> Path:
    if not (SHARED / name).is_file():
        pytest.skip(f"{SHARED / name} is absent")
    return SHARED / name


def test_every_frame_has_its_own_time(tmp_path: Path) -> None:
    source = FileSource(clips.write(tmp_path / "clip.mp4", 20))
    frames = check_source(source, at_most=99)
    assert not source.live
    assert source.frame_count == 20
    assert source.fps == pytest.approx(10)
    assert [clips.number_of(frame.image) for frame in frames] == list(range(20))
    assert [frame.timestamp_s for frame in frames] == pytest.approx([i / 10 for i in range(20)], abs=0.002)


@pytest.mark.parametrize("name", CLIPS)
def test_real_clips_are_whole_and_raise_no_alarm(name: str, caplog: pytest.LogCaptureFixture) -> None:
    frames = check_source(FileSource(shared(name)), at_most=1000)
    assert len(frames) == CLIPS[name]
    assert frames[0].timestamp_s == 0
    assert caplog.records == []


KINDS = {  # suffix and codec -> options
    (".mp4", "libx264"): {"preset": "ultrafast"},
    (".mkv", "libx264"): {"preset": "ultrafast"},
    (".mov", "mpeg4"): {},
    (".mp4", "mpeg4"): {},
    (".avi", "mpeg4"): {},
    (".ts", "mpeg2video"): {},
    (".mkv", "mpeg2video"): {},
    (".mkv", "ffv1"): {},
}
RATES = (Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(60))


@given(
    kind=st.sampled_from(sorted(KINDS)),
    rate=st.sampled_from(RATES),
    count=st.integers(1, 12),
    interlaced=st.booleans(),
    reordered=st.booleans(),
    orientation=st.sampled_from(sorted(clips.MATRICES)),
    size=st.sampled_from([(64, 48), (66, 52), (130, 36)]),
)
def test_any_file_gives_all_its_frames_upright_and_in_time(
    tmp_path_factory: pytest.TempPathFactory,
    kind: tuple[str, str],
    rate: Fraction,
    count: int,
    interlaced: bool,
    reordered: bool,
    orientation: str,
    size: tuple[int, int],
) -> None:
    suffix, codec = kind
    options = dict(KINDS[kind])
    if interlaced and codec != "ffv1":
        options["flags"] = "+ildct+ilme"
    if reordered and codec != "ffv1" and suffix != ".avi":  # an AVI cannot tell the order
        options["bf"] = "2"
    if suffix == ".ts":
        count += 8  # from fewer packets FFmpeg does not recognize it
    path = tmp_path_factory.mktemp("clip") / f"clip{suffix}"
    clips.write(path, count, rate, codec, options=options, size=size)
    matrix = (1, 0, 0, 1)
    if suffix in (".mp4", ".mov"):
        matrix = clips.MATRICES[orientation]
        clips.turn(path, matrix)
    frames = check_source(FileSource(path), at_most=99)
    assert [clips.number_of(frame.image) for frame in frames] == list(range(count))
    times = [frame.timestamp_s for frame in frames]
    assert times == pytest.approx([i / rate for i in range(count)], abs=0.001)  # an MKV counts milliseconds
    a, b, c, d = matrix
    assert frames[0].image.shape == (size[::-1] if a else size)
    assert clips.light_corner(frames[0].image) == ((d < 0, a < 0) if a else (b < 0, c < 0))


@pytest.mark.parametrize("name", ["again.mkv", "head-pose-face-detection-male.gif"])
def test_a_cut_clip_warns_once(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = shared(name).read_bytes()
    cut = tmp_path / name
    cut.write_bytes(whole[: len(whole) * 6 // 10])
    frames = check_source(FileSource(cut), at_most=1000)
    assert 10 < len(frames) < CLIPS[name]
    assert len(caplog.records) == 1
    assert f"is truncated after frame {len(frames)}" in caplog.text


@pytest.mark.parametrize("kind", ["cut.avi", "cut.mkv", "cut.ts", "faststart.mp4", "fragments.mp4"])
def test_a_cut_file_gives_what_there_is_and_warns_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    movflags = {"faststart.mp4": "faststart", "fragments.mp4": "frag_keyframe+empty_moov"}
    path = tmp_path / kind
    clips.write(path, 25, options={"g": "2"}, movflags=movflags.get(kind), codec="mpeg2video")
    assert len(check_source(FileSource(path), at_most=99)) == 25
    assert not caplog.records, "a whole file raises no alarm"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10 | 1])
    frames = check_source(FileSource(path), at_most=99)
    assert 3 < len(frames) < 25
    whole = frames[:-1]  # the last one may be cut in two
    assert [clips.number_of(frame.image) for frame in whole] == list(range(len(whole)))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"is truncated after frame {len(frames)}" in caplog.text


def test_a_file_with_damaged_frames_goes_on_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = clips.write(tmp_path / "hole.mp4", 25, codec="png", pix_fmt="rgb24")
    data = bytearray(path.read_bytes())
    middle = data.index(b"\x89PNG", len(data) // 2)
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(data)
    frames = check_source(FileSource(path), at_most=99)
    assert len(frames) == 24
    assert frames[-1].timestamp_s == pytest.approx(2.4)
    assert len(caplog.records) == 1
    assert "is damaged: 1 frames are missing" in caplog.text


def test_missing_file_folder_empty_and_text(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    faults = {"none.mp4": "does not exist", "": "is a folder", "empty.mp4": "0 bytes", "text.mp4": "decoded"}
    for name, fault in faults.items():
        with pytest.raises(SourceError, match=fault) as caught:
            FileSource(str(tmp_path / name))
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "; " in str(caught.value), "the message holds no fix"


@pytest.mark.parametrize("name", ["none.mp4", "text.mp4", "cut.mp4", "hole.mp4"])
def test_the_libraries_keep_silent(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    whole = clips.write(tmp_path / "whole.mp4", 20).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    middle = len(whole) // 3
    (tmp_path / "hole.mp4").write_bytes(whole[:middle] + bytes(200) + whole[middle + 200 :])
    program = f"""
import logging, sys; sys.path[:0] = {sys.path!r}
from edge.capture.files import FileSource
from edge.errors import SourceError
logging.getLogger("edge").addHandler(logging.NullHandler())
try:
    with FileSource({str(tmp_path / name)!r}) as source:
        list(source.frames())
except SourceError:
    pass
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("", "")


def test_without_pyav_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clips.write(tmp_path / "clip.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        DependencyError, match=r"pip install 'emotion-edge\[files\]'.* apt install python3-av"
    ):
        FileSource(path)


def test_a_closed_source_says_so(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    source = FileSource(clips.write(tmp_path / "clip.mp4"))
    with source:
        frames = source.frames()
        first = next(frames)
    assert list(frames) == [], "closing in the middle is no fault"
    assert clips.number_of(first.image) == 0, "a frame stays valid"
    with pytest.raises(SourceError, match="closed"):
        next(source.frames())
    assert len(os.listdir("/proc/self/fd")) == before, "a file stays open"


@pytest.mark.parametrize(
    "name",
    ["12:30:05.mp4", "http:127.0.0.1:9", "concat:other.mp4", "seq%03d.png", "a*?[b].mkv", "caf\udce9.mp4"],
)
def test_any_name_is_only_a_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = clips.write(tmp_path / "clip.mp4", 5)
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(clip, name)
    assert len(check_source(FileSource(name))) == 5


def test_a_playlist_opens_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips.write(tmp_path / "part.ts", codec="mpeg2video")
    monkeypatch.chdir(tmp_path)
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.2,\n"
    (tmp_path / "list.m3u8").write_text(f"{head}part.ts\n#EXT-X-ENDLIST\n")
    (tmp_path / "list.txt").write_text("ffconcat version 1.0\nfile part.ts\n")
    for name in ("list.m3u8", "list.txt"):
        with pytest.raises(SourceError, match=f"{name} is a playlist; give one of the files that it names"):
            FileSource(name)


def test_a_stream_without_a_clock_says_that_times_are_invented(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = clips.write(tmp_path / "bare.m2v", codec="mpeg2video", muxer="mpeg2video", rate=25)
    assert [f.timestamp_s for f in check_source(FileSource(path, 5.0))] == pytest.approx(np.arange(12) / 5)
    assert caplog.messages == [], "who gave the rate knows"
    assert check_source(FileSource(path))[1].timestamp_s == pytest.approx(1 / 25)
    told = "has no clock: times are invented at 25 frames per second; set source.fps"
    assert caplog.messages == [f"{path} {told}"]


def test_a_photograph_without_a_suffix_needs_no_clock(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = clips.write(tmp_path / "photo", 1, codec="mjpeg", pix_fmt="yuvj420p", muxer="mjpeg")
    assert len(check_source(FileSource(path))) == 1
    assert caplog.messages == []
