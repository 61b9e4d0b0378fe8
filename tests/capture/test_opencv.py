"""Video files are read whole and in order; whatever cannot be read is named in one line."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from contracts import check_source

from edge.capture.opencv import OpenCVSource
from edge.errors import SourceError

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "video"
CLIPS = {  # frames that decode; the headers of the MKV and of no_face.mp4 promise more
    "again.mkv": 77,
    "head-pose-face-detection-male.gif": 62,
    "no_face.mp4": 95,
    "noface_face.mov": 169,
}


def make_clip(path: Path, frames: int = 30, fps: float = 10.0, codec: str = "mp4v") -> Path:
    """Frame i has the brightness 8 i, so that its number can be read from the picture."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (64, 48))
    for i in range(frames):
        writer.write(np.full((48, 64, 3), 8 * i, np.uint8))
    writer.release()
    return path


def shared(name: str) -> Path:
    if not (SHARED / name).is_file():
        pytest.skip(f"{SHARED / name} is absent")
    return SHARED / name


def test_every_frame_has_its_own_time(tmp_path: Path) -> None:
    frames = check_source(OpenCVSource(str(make_clip(tmp_path / "clip.mp4"))), at_most=99)
    assert [frame.index for frame in frames] == list(range(30))
    # The codec is lossy: half the distance of two frames tells neighbors apart.
    assert [round(float(frame.image.mean()) / 8) for frame in frames] == list(range(30))
    assert [frame.timestamp_s for frame in frames] == pytest.approx([i / 10 for i in range(30)], abs=0.002)


def test_a_file_is_not_live_and_knows_its_length(tmp_path: Path) -> None:
    with OpenCVSource(str(make_clip(tmp_path / "clip.mp4"))) as source:
        assert not source.live
        assert source.frame_count == 30
        assert source.fps == pytest.approx(10)


@pytest.mark.parametrize("name", CLIPS)
def test_real_clips_are_whole_and_raise_no_alarm(name: str, caplog: pytest.LogCaptureFixture) -> None:
    frames = check_source(OpenCVSource(str(shared(name))), at_most=1000)
    assert len(frames) == CLIPS[name]
    assert frames[0].timestamp_s == 0
    assert caplog.records == []


@pytest.mark.parametrize("name", ["again.mkv", "head-pose-face-detection-male.gif"])
def test_a_cut_clip_warns_once(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = shared(name).read_bytes()
    cut = tmp_path / name
    cut.write_bytes(whole[: len(whole) * 6 // 10])
    frames = check_source(OpenCVSource(str(cut)), at_most=1000)
    assert 10 < len(frames) < CLIPS[name]
    assert len(caplog.records) == 1
    assert f"is truncated after frame {len(frames)}" in caplog.text


def test_a_cut_avi_gives_what_there_is_and_warns_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = make_clip(tmp_path / "cut.avi", codec="MJPG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    frames = check_source(OpenCVSource(str(path)), at_most=99)
    assert 5 < len(frames) < 25
    whole = frames[:-1]  # the last one may be cut in two
    assert [round(float(frame.image.mean()) / 8) for frame in whole] == list(range(len(whole)))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"is truncated after frame {len(frames)} of 30" in caplog.text


def test_a_damaged_mp4_gives_what_there_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = bytearray(shared("no_face.mp4").read_bytes())
    data[len(data) // 2 : len(data) * 3 // 4] = bytes(len(data) * 3 // 4 - len(data) // 2)
    (tmp_path / "hole.mp4").write_bytes(data)
    frames = check_source(OpenCVSource(str(tmp_path / "hole.mp4")), at_most=1000)
    assert frames
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "of 98" in caplog.text


def test_missing_file_folder_empty_and_text(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    faults = {"none.mp4": "does not exist", "": "is a folder", "empty.mp4": "0 bytes", "text.mp4": "decoded"}
    for name, fault in faults.items():
        with pytest.raises(SourceError, match=fault) as caught:
            OpenCVSource(str(tmp_path / name))
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "; " in str(caught.value), "the message holds no fix"


def test_opencv_and_ffmpeg_keep_silent(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    # In a process of its own: FFmpeg reads its variable once, and other tests open clips without it.
    program = f"""
import sys; sys.path[:0] = {sys.path!r}
from edge.capture.opencv import OpenCVSource
from edge.errors import SourceError
try:
    OpenCVSource({str(tmp_path / "text.mp4")!r})
except SourceError:
    print("refused")
"""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=plain)
    assert (done.stdout, done.stderr) == ("refused\n", "")


def test_a_closed_source_says_so(tmp_path: Path) -> None:
    source = OpenCVSource(str(make_clip(tmp_path / "clip.mp4")))
    with source:
        frames = source.frames()
        next(frames)
    assert list(frames) == [], "closing in the middle is no fault"
    with pytest.raises(SourceError, match="closed"):
        next(source.frames())
