"""The real GStreamer, with videotestsrc and JPEG files where a Jetson has its cameras."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pytest
from contracts import check_source
from gstreamer_parts import LIBRARIES, PC, real, source
from open_resources import in_use

from edge.capture.gstreamer.pipeline import Elements, parse
from edge.capture.gstreamer.source import GStreamerSource
from edge.errors import SourceError


def jpeg(folder: Path) -> Path:
    """A ramp from black to white, 300 pixels wide: no multiple of a JPEG's blocks of 8 or 16."""
    path = folder / 'it\'s a "camera".jpg'
    cv2.imwrite(str(path), np.tile(np.linspace(0, 255, 300).astype(np.uint8), (200, 1)))
    return path


@real
def test_contract(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    opened = source()
    assert opened.live
    assert opened.fps == 30
    frames = check_source(opened)
    assert len(frames) == 20
    assert [frame.index for frame in frames] == list(range(20))
    assert {frame.image.shape for frame in frames} == {(240, 320)}
    said = "csi://0 delivers I420 320x240 at 30 fps; requested width=320,height=240,framerate=30/1"
    assert said in caplog.text


@real
def test_jpeg_pictures_are_decoded_to_full_range_luma(tmp_path: Path) -> None:
    path = jpeg(tmp_path)
    frames = check_source(GStreamerSource(f"mjpeg://{path}", 300, 200, 15.0, PC))
    expected = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    # Two decoders may round differently.
    assert np.abs(frames[0].image.astype(int) - expected.astype(int)).max() <= 2
    assert frames[0].luma_range == "full"


@real
def test_time_is_that_of_capture() -> None:
    ages, stamps = [], []
    with source(fps=60) as opened:
        for frame in opened.frames():
            ages.append(time.monotonic() - frame.timestamp_s)
            stamps.append(frame.timestamp_s)
            if len(stamps) == 60:
                break
    assert min(ages) >= 0
    # Milliseconds on an idle machine; what is caught here is another clock or a base time left out.
    assert median(ages) < 0.05
    assert median(np.diff(stamps)) == pytest.approx(1 / 60, rel=0.02)


@real
def test_files_have_no_time_of_capture(tmp_path: Path) -> None:
    """multifilesrc stamps its pictures 1/15 s apart, but gives them as fast as they are taken."""
    with GStreamerSource(f"mjpeg://{jpeg(tmp_path)}", 300, 200, 15.0, PC) as opened:
        for frame in opened.frames():
            assert 0 <= time.monotonic() - frame.timestamp_s < 0.5
            if frame.index == 30:
                break


@real
def test_a_slow_reader_sees_fresh_frames() -> None:
    with source() as opened:
        frames = opened.frames()
        next(frames)
        time.sleep(0.7)
        next(frames)  # came while nobody looked; one lies ready at most
        age_s = time.monotonic() - next(frames).timestamp_s
    assert age_s < 0.2, "frames have queued up"


@real
def test_a_frame_belongs_to_its_taker() -> None:
    with source(replace(PC, csi="videotestsrc is-live=true pattern=snow")) as opened:
        frames = opened.frames()
        first = next(frames).image
        kept = first.copy()
        later = [next(frames).image for _ in range(10)]
    assert np.array_equal(first, kept), "the memory was given to a later frame"
    assert not any(np.array_equal(first, image) for image in later)


@real
def test_29_97_is_asked_for_as_cameras_write_it() -> None:
    with source(fps=29.97) as opened:
        assert opened.fps == 30000 / 1001


@real
@pytest.mark.parametrize(
    ("elements", "address", "words"),
    [
        (
            replace(PC, usb="v4l2src device={camera}"),
            "mjpeg:///dev/video97",
            "v4l2src.*/dev/video97.*No such file",
        ),
        (PC, "mjpeg:///none.jpg", r"multifilesrc.*none\.jpg"),
        (
            replace(PC, luma_caps="video/x-raw,format=BGR"),
            "csi://0",
            "format=.*BGR.*expected one of NV12",
        ),
        (replace(PC, converter="videoconvert !"), "csi://0", "refuses the pipeline .*; correct its elements"),
        (replace(PC, csi_caps="image/jpeg"), "csi://0", "neither element can handle caps image/jpeg"),
        (
            replace(PC, converter="identity error-after=5"),
            "csi://0",
            "after . frames: identity.*Failed after",
        ),
        (replace(PC, csi="videotestsrc num-buffers=3"), "csi://0", "ended after . frames"),
    ],
)
def test_faults(elements: Elements, address: str, words: str) -> None:
    with (
        pytest.raises(SourceError, match=words) as caught,
        GStreamerSource(address, elements=elements) as opened,
    ):
        for _ in opened.frames():
            pass
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value), "the message holds no fix"


@real
def test_a_start_that_fails_before_its_element_says_why() -> None:
    class Hasty:
        """A real pipeline whose change of state has failed, while the error is still to come."""

        def __init__(self, pipeline) -> None:
            self.pipeline = pipeline

        def __getattr__(self, name: str):
            return getattr(self.pipeline, name)

        def get_state(self, timeout: int):
            return LIBRARIES.gst.StateChangeReturn.FAILURE, None, None

    late = replace(PC, converter="identity sleep-time=100000 error-after=2")
    with pytest.raises(SourceError, match=r"identity.*Failed after"):
        GStreamerSource("csi://0", 320, 240, 30.0, late, lambda *parts: Hasty(parse(*parts)))


@real
def test_closing_from_another_thread_ends_a_silent_camera() -> None:
    opened = source(fps=0.01)  # the second frame would come after 100 s
    ended: list[float] = []

    def read() -> None:
        for _ in opened.frames():
            pass
        ended.append(time.monotonic())

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.5)
    closed = time.monotonic()
    opened.close()
    reader.join(5)
    assert ended[0] - closed < 0.5
    opened.close()  # closing again is no fault
    with pytest.raises(SourceError, match="already closed"):
        next(opened.frames())


@real
def test_nothing_is_left_over_50_openings() -> None:
    def cycle() -> None:
        check_source(source(), at_most=2)
        with pytest.raises(SourceError):
            source(replace(PC, csi="v4l2src device=/dev/video97 name=x{camera}", csi_caps="image/jpeg"))

    for _ in range(3):  # GStreamer keeps a few threads and descriptors once it was used
        cycle()
    before = in_use()
    for _ in range(50):
        cycle()
    after = in_use()
    # An idle thread of GLib's pool may have come or gone.
    assert after[0] <= before[0], f"descriptors: {before[0]} before, {after[0]} after"
    assert after[1] <= before[1] + 2, f"threads: {before[1]} before, {after[1]} after"
