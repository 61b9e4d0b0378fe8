"""Raspberry Pi cameras over a stand-in for picamera2; tests/boards has the real one."""

from __future__ import annotations

import threading
import time
from itertools import count

import pytest
import stand_in_picamera2 as stand_in
from contracts import check_source

from edge.capture.picamera.source import PicameraSource, capture_time
from edge.capture.sources import open_source
from edge.config import SourceConfig
from edge.data import Frame
from edge.errors import SourceError

PATIENCE_S = 5.0  # a machine under load is slow; a hanging one is slower still


def test_contract(board) -> None:
    frames = check_source(PicameraSource("picam://0"))
    assert [frame.index for frame in frames] == list(range(20))
    assert PicameraSource.live
    assert PicameraSource.frame_count is None


def test_boot_time_becomes_monotonic() -> None:
    asleep_ns = 3_600 * 10**9

    def clock_ns(clock: int) -> int:
        return time.monotonic_ns() + (asleep_ns if clock == time.CLOCK_BOOTTIME else 0)

    captured_ns = time.monotonic_ns() - 20 * 10**6
    # Two clocks are read one after the other; a busy machine may come in between.
    assert capture_time(captured_ns + asleep_ns, clock_ns) == pytest.approx(captured_ns / 1e9, abs=0.01)


@pytest.mark.parametrize("wrong_ns", [None, 0, -5, 1, 10**30])
def test_a_missing_or_impossible_stamp_becomes_now(wrong_ns: int | None) -> None:
    before = time.monotonic()
    assert before <= capture_time(wrong_ns) <= time.monotonic()


@pytest.mark.parametrize("stamps", ["still", "backwards", "missing"])
def test_times_rise_whatever_the_sensor_says(board, stamps: str) -> None:
    now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    board.stamps = {
        "still": (now_ns - 10**6 for _ in count()),
        "backwards": (now_ns - i * 10**6 for i in count(1)),
        "missing": (None for _ in count()),
    }[stamps]
    check_source(PicameraSource("picam://0"))


@pytest.mark.parametrize("late", [False, True])
def test_closing_from_another_thread_ends_a_silent_camera(board, late: bool) -> None:
    board.silent, board.late = True, late
    source = PicameraSource("picam://0")
    read: list[Frame] = []
    reader = threading.Thread(target=lambda: read.extend(source.frames()))
    reader.start()
    time.sleep(0.1)
    start = time.monotonic()
    source.__exit__(None, None, None)
    reader.join(PATIENCE_S)
    assert not reader.is_alive()
    assert time.monotonic() - start < 1.0
    assert read == []


def test_closing_while_frames_are_read(board) -> None:
    for _ in range(50):
        source = PicameraSource("picam://0", 16, 16)
        started = threading.Event()
        reader = threading.Thread(target=lambda s=source, e=started: [e.set() for _ in s.frames()])
        reader.start()
        assert started.wait(PATIENCE_S)
        source.__exit__(None, None, None)
        reader.join(PATIENCE_S)
        assert not reader.is_alive()
        assert board.lent == set()


def test_closing_does_not_wait_for_a_reader_that_hangs(board, caplog) -> None:
    source = PicameraSource("picam://0", hang_s=0.1)
    with source._lock:
        source.__exit__(None, None, None)
    assert "picam://0 hangs in picamera2 and stays open; restart" in caplog.text
    assert board.open == 1
    source.__exit__(None, None, None)


def test_an_interrupt_while_waiting_leaves_no_job_behind(board, monkeypatch) -> None:
    board.silent, board.late = True, True

    with PicameraSource("picam://0") as source:
        frames = source.frames()
        with monkeypatch.context() as patch:
            real = stand_in.Job.get_result
            calls = count()
            patch.setattr(
                stand_in.Job,
                "get_result",
                lambda job, timeout=None: real(job, timeout) if next(calls) else _interrupt(),
            )
            with pytest.raises(KeyboardInterrupt):
                next(frames)
    assert board.frames == 1, "the late frame did not come; the test shows nothing"


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_a_closed_source_says_so(board) -> None:
    source = PicameraSource("picam://0")
    with source:
        frames = source.frames()
        next(frames)
    assert list(frames) == [], "closing in the middle is no fault"
    source.__exit__(None, None, None)
    with pytest.raises(SourceError, match="closed"):
        next(source.frames())


def test_a_fault_while_reading_is_one_line(board) -> None:
    with PicameraSource("picam://0") as source:
        frames = source.frames()
        next(frames)
        board.fault = RuntimeError("Camera frontend\nhas timed out")
        with pytest.raises(SourceError, match="0 failed after 1 frames: Camera frontend has timed out; "):
            next(frames)


def test_a_raspberry_pi_camera_gets_them_at_its_start(board, caplog) -> None:
    board.controls |= dict.fromkeys(("ExposureTime", "AnalogueGain", "AeEnable"), (0, 1, None))
    settings = SourceConfig("picam://0", exposure=5.0, gain=3.0, mains_hz=60)
    open_source(settings).__exit__(None, None, None)
    asked = board.configured[-1]["controls"]
    assert (asked["ExposureTime"], asked["AnalogueGain"], asked["AeEnable"]) == (5000, 3.0, False)
    assert "FrameDurationLimits" in asked
    assert [r.message for r in caplog.records if "no control" in r.message] == [
        "camera picam://0 has no control for source.mains_hz, which is ignored; leave it out"
    ]
