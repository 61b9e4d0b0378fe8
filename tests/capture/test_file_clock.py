"""Times of a file rise, keep real gaps, and survive clocks that begin anew."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import av
import made_clips as clips
import pytest
from contracts import check_source
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.container import nominal_rate
from edge.capture.file_clock import FileClock
from edge.capture.files import FileSource


@given(st.lists(st.one_of(st.floats(), st.floats(0, 1e5)), max_size=50), st.floats(1, 240), st.booleans())
def test_times_rise_whatever_the_container_says(positions_s: list[float], fps: float, restarts: bool) -> None:
    clock = FileClock(fps, restarts)
    last_s: float | None = None
    for position_s in positions_s:
        stamp_s = clock.time_s(position_s)
        assert math.isfinite(stamp_s)
        assert stamp_s >= 0
        assert last_s is None or stamp_s > last_s or last_s > 1e12  # there a period is below one ulp
        last_s = stamp_s


def test_a_silent_container_is_timed_by_its_rate() -> None:
    clock = FileClock(25.0)
    assert [clock.time_s(math.nan) for _ in range(50)] == pytest.approx([i / 25 for i in range(50)])


@given(st.lists(st.floats(0.001, 100_000), max_size=30), st.floats(1, 240))
def test_real_gaps_are_kept(gaps_s: list[float], fps: float) -> None:
    clock, at_s = FileClock(fps), 0.0
    for gap_s in (0.0, *gaps_s):
        at_s += gap_s
        assert clock.time_s(at_s) == at_s


@pytest.mark.parametrize("wrong_s", [1e6, 0.0, math.inf, 4.05])
def test_one_wrong_time_harms_no_other(wrong_s: float) -> None:
    clock = FileClock(10.0, restarts=True)
    times_s = [clock.time_s(at_s) for at_s in (5.0, 5.1, wrong_s, 5.35, 5.5)]
    assert times_s == pytest.approx([5.0, 5.1, 5.2, 5.35, 5.5])


@pytest.mark.parametrize("second_s", [0.0, 50_000.0])
def test_a_clock_that_begins_anew_goes_on_at_its_own_pace(second_s: float) -> None:
    """The rate of ``fps`` is not that of the frames, as for interlaced TS, whose fields it may count."""
    clock = FileClock(50.0, restarts=True)
    first = [clock.time_s(100 + i / 25) for i in range(50)]
    second = [clock.time_s(second_s + i / 25) for i in range(200)]
    assert [at_s - second[0] for at_s in second] == pytest.approx([i / 25 for i in range(200)])
    assert 0 < second[0] - first[-1] <= 1 / 25


def _seldom(path: Path, gap_s: int) -> Path:
    """A clip with a frame every ``gap_s`` seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = clips.WIDTH, clips.HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1)
        for i in range(6):
            frame = clips.picture(i)
            frame.pts, frame.time_base = i * gap_s, Fraction(1, 1)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


@pytest.mark.parametrize("gap_s", [3600, 7200])
def test_a_frame_every_few_hours_keeps_its_time(tmp_path: Path, gap_s: int) -> None:
    """As of a time lapse, or of a camera that records only what moves."""
    source = FileSource(_seldom(tmp_path / "seldom.mkv", gap_s))
    times_s = [frame.timestamp_s for frame in check_source(source)]
    assert times_s == pytest.approx([i * gap_s for i in range(6)])


def test_two_streams_put_together_are_one(tmp_path: Path) -> None:
    part = clips.write(tmp_path / "part.ts", codec="mpeg2video", rate=25).read_bytes()
    (tmp_path / "both.ts").write_bytes(part + part)
    times_s = [frame.timestamp_s for frame in check_source(FileSource(tmp_path / "both.ts"), at_most=99)]
    assert times_s == pytest.approx([i / 25 for i in range(24)], abs=1e-3)


def test_a_video_that_begins_after_ages_starts_at_0() -> None:
    clock = FileClock(25.0)
    times_s = [clock.time_s(1e18 + index) for index in range(4)]  # further apart than its floats are
    assert times_s[0] == 0.0
    assert all(a < b for a, b in pairwise(times_s))


@pytest.mark.parametrize(
    ("rate", "fps"), [(Fraction(1, 2**32), 25.0), (Fraction(1, 60), 1 / 60), (Fraction(2**31, 1), 25.0)]
)
def test_a_rate_that_cannot_be_is_none(rate: Fraction, fps: float) -> None:
    stream = SimpleNamespace(average_rate=rate, guessed_rate=None)
    assert nominal_rate(stream, bare=False) == pytest.approx(fps)
