"""Encoding: every frame at its own time, at any moment whole up to the last keyframe, for every player."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError
from edge.sinks import clip_file
from edge.sinks.clip_file import COMMENT, LONGEST_GAP_S, ClipEncoder, count_frames, remux


def picture(size: tuple[int, int] = (64, 48), value: int = 80) -> np.ndarray:
    return np.full((size[1], size[0], 3), value, np.uint8)


def make(path: Path, stamps_s: list[float], size: tuple[int, int] = (64, 48)) -> ClipEncoder:
    """A finished clip with a picture at each time."""
    period_s = stamps_s[1] - stamps_s[0] if len(stamps_s) > 1 else 1.0
    with open(path.with_suffix(".part"), "w+b") as part, open(path, "w+b") as whole:
        encoder = ClipEncoder(part, size, period_s)
        for stamp_s in stamps_s:
            encoder.add(picture(size), stamp_s)
        encoder.close()
        assert remux(part, whole, encoder.last_ticks) == len(stamps_s)
        assert count_frames(whole) == len(stamps_s)
    return encoder


def times(path: Path) -> list[float]:
    """The times of the frames in seconds, and that of the end of the last one."""
    with av.open(str(path)) as clip:
        stream = clip.streams.video[0]
        packets = [packet for packet in clip.demux(stream) if packet.size]
        ends = [packet.pts + packet.duration for packet in packets[-1:]]
        return [float(ticks * stream.time_base) for ticks in [*(packet.pts for packet in packets), *ends]]


def boxes(path: Path) -> list[bytes]:
    """The names of the outermost boxes of an MP4."""
    content, at, names = path.read_bytes(), 0, []
    while at < len(content):
        names.append(content[at + 4 : at + 8])
        at += int.from_bytes(content[at : at + 4], "big")
    return names


@pytest.mark.parametrize("fps", [0.2, 1, 12.5, 24, 30000 / 1001, 30, 73.142857, 120, 240])
def test_every_frame_has_its_own_time(tmp_path: Path, fps: float) -> None:
    stamps_s = [i / fps for i in range(12)]
    make(tmp_path / "a.mp4", stamps_s)
    assert times(tmp_path / "a.mp4") == pytest.approx([*stamps_s, 12 / fps], abs=1e-4)


def test_a_changing_rate_is_kept(tmp_path: Path) -> None:
    """As of a camera that takes longer in the dark, and of many .mov files with an odd first gap."""
    stamps_s = [0.0, 0.013671875, *(0.0553 + i / 24 for i in range(20)), *(1 + i / 3 for i in range(6))]
    make(tmp_path / "a.mp4", stamps_s)
    assert times(tmp_path / "a.mp4")[:-1] == pytest.approx(stamps_s, abs=1e-4)


@given(gaps_s=st.lists(st.floats(-10, 1e6, allow_nan=False), max_size=12), start_s=st.floats(0, 1e6))
def test_times_rise_whatever_the_clock_does(
    tmp_path_factory: pytest.TempPathFactory, gaps_s: list[float], start_s: float
) -> None:
    stamps_s = list(np.cumsum([start_s, *gaps_s]))
    path = tmp_path_factory.mktemp("clip") / "a.mp4"
    make(path, stamps_s, (16, 16))
    shown = times(path)
    wanted_s = [min(max(gap_s, 0.0), LONGEST_GAP_S) for gap_s in gaps_s]
    assert shown[0] == 0
    assert min(np.diff(shown[:-1]), default=1) > 0
    # PyAV 10, of Debian 12, cannot say how long the last one is shown.
    assert np.diff(shown)[:-1] == pytest.approx(wanted_s, abs=2e-4), (
        "with the next tick where it stands still"
    )


def test_a_clip_is_what_firefox_and_chromium_play(tmp_path: Path) -> None:
    """H.264 up to High, 4:2:0 with 8 bits, even sides, the index before the pictures."""
    make(tmp_path / "a.mp4", [i / 15 for i in range(40)], (65, 47))
    assert boxes(tmp_path / "a.mp4")[:2] == [b"ftyp", b"moov"]
    assert b"avc1" in (tmp_path / "a.mp4").read_bytes()[:4096]
    with av.open(str(tmp_path / "a.mp4")) as clip:
        context = clip.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.width, context.height) == ("h264", "yuv420p", 66, 48)
        assert context.profile in ("Constrained Baseline", "Baseline", "Main", "High")
        assert clip.metadata["comment"] == COMMENT
        keys = [packet.pts for packet in clip.demux(video=0) if packet.is_keyframe]
        assert max(np.diff(keys)) <= clip_file.KEYFRAME_S / clip.streams.video[0].time_base


def test_odd_sides_get_a_copy_of_their_edge(tmp_path: Path) -> None:
    shown = picture((33, 17), 40)
    shown[:, 32] = shown[16, :] = 200
    with open(tmp_path / "a.part", "w+b") as part, ClipEncoder(part, (33, 17), 0.1) as encoder:
        encoder.add(shown, 0.0)
    with av.open(str(tmp_path / "a.part")) as clip:
        decoded = next(clip.decode(video=0)).to_ndarray(format="gray")
    assert decoded.shape == (18, 34)
    assert decoded[:16, 33].min() > 150
    assert decoded[17, :32].min() > 150
    assert decoded[:14, :30].max() < 80, "nothing is shifted or stretched"


def test_what_a_power_cut_leaves_plays(tmp_path: Path) -> None:
    with open(tmp_path / "a.part", "w+b") as part:
        encoder = ClipEncoder(part, (64, 48), 0.1)
        for i in range(50):
            encoder.add(picture(value=i), i / 10)
        shutil.copy(tmp_path / "a.part", tmp_path / "cut.mp4")  # without close
    with av.open(str(tmp_path / "cut.mp4")) as clip:
        assert sum(1 for _ in clip.decode(video=0)) == 40, "all but the last two seconds"


def test_names_that_ffmpeg_cannot_take(tmp_path: Path) -> None:
    for name in ("12:30:05.mp4", "pipe:1.mp4", "%03d.mp4", "caf\udce9.mp4"):
        make(tmp_path / name, [0.0, 0.1])


class Without:
    """PyAV of a machine whose FFmpeg lacks some encoders."""

    def __init__(self, *names: str) -> None:
        self.names, self.CodecContext = names, self

    def __getattr__(self, name: str) -> Any:
        return getattr(av, name)

    def create(self, name: str, mode: str) -> Any:
        if name in self.names:
            raise ValueError(f"no codec {name}")
        return av.CodecContext.create(name, mode)


def test_without_an_encoder_for_h264_it_is_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h264 = ("libx264", "libopenh264", "h264_v4l2m2m")
    monkeypatch.setattr(clip_file, "require", lambda *_: Without(*h264))
    stamps_s = [0.0, 1 / 30, 5.0, 5.1]
    assert make(tmp_path / "a.mp4", stamps_s, (64, 48)).codec == "mpeg4"
    assert times(tmp_path / "a.mp4")[:-1] == pytest.approx(stamps_s, abs=1e-4)
    monkeypatch.setattr(clip_file, "require", lambda *_: Without(*h264, "mpeg4"))
    with (
        pytest.raises(ConfigError, match=r"no encoder of FFmpeg opens for 64x48; remove output\.annotate"),
        open(tmp_path / "b.part", "w+b") as part,
    ):
        ClipEncoder(part, (64, 48), 0.1)
