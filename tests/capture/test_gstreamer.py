"""The real GStreamer, with videotestsrc and JPEG files where a Jetson has its cameras."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pytest
from contracts import check_source

from edge.capture.gstreamer import source as gstreamer
from edge.capture.gstreamer.pipeline import Elements, description, load
from edge.capture.gstreamer.source import GStreamerSource, luma
from edge.errors import DependencyError, SourceError

try:
    LIBRARIES = load()
    NEEDED = ("videotestsrc", "videoconvert", "multifilesrc", "jpegdec", "v4l2src", "appsink")
    LACKS = [name for name in NEEDED if LIBRARIES.gst.ElementFactory.find(name) is None]
    REASON = f"GStreamer lacks {', '.join(LACKS)}: sudo apt install gstreamer1.0-plugins-good"
except DependencyError as error:
    LACKS, REASON = ["gi"], f"no GStreamer: {error}; then: make gstreamer"
real = pytest.mark.skipif(bool(LACKS), reason=REASON)

PC = Elements(
    csi="videotestsrc is-live=true name=camera{camera}",
    csi_caps="video/x-raw,format=I420",
    usb="multifilesrc loop=true location={camera}",
    usb_caps="image/jpeg",
    jpeg_decoder="jpegdec",
    converter="videoconvert",
    luma_caps="video/x-raw,format={NV12,I420,GRAY8}",
)


def only(form: str, more: str = "") -> Elements:
    """The test picture in one format; its upper part is upright bars, so all rows there are equal."""
    return replace(PC, csi_caps=f"video/x-raw,format={form}{more}")


def source(
    elements: Elements = PC, width: int = 320, height: int = 240, fps: float = 30.0
) -> GStreamerSource:
    return GStreamerSource("csi://0", width, height, fps, elements)


def jpeg(folder: Path) -> Path:
    """A ramp from black to white, 300 pixels wide: no multiple of a JPEG's blocks of 8 or 16."""
    path = folder / 'it\'s a "camera".jpg'
    cv2.imwrite(str(path), np.tile(np.linspace(0, 255, 300).astype(np.uint8), (200, 1)))
    return path


def test_the_pipelines_of_a_jetson() -> None:
    sink = "nvvidconv ! video/x-raw,format=NV12 ! appsink name=luma max-buffers=1 drop=true sync=false"
    assert description("csi://1", ",width=1280,height=720,framerate=30/1") == (
        "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),format=NV12,width=1280,height=720,"
        f"framerate=30/1 ! {sink}"
    )
    assert description("mjpeg:///dev/video0", ",width=640") == (
        f'v4l2src device="/dev/video0" ! image/jpeg,width=640 ! nvv4l2decoder mjpeg=1 ! {sink}'
    )


@pytest.mark.parametrize(
    "address",
    ["csi://", "csi://x", "csi://²", "csi:0", "mjpeg://video0", "/dev/video0", "", "csi://me:secret@0"],
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(SourceError, match="write csi://0 or mjpeg:///dev/video0") as caught:
        description(address)
    assert "secret" not in str(caught.value)


def test_without_gi_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gi", None)
    with pytest.raises(DependencyError, match=r"sudo apt install python3-gi gir1.2-gstreamer") as caught:
        GStreamerSource("csi://0")
    assert "\n" not in str(caught.value)


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
@pytest.mark.parametrize("form", ["NV12", "I420", "GRAY8"])
@pytest.mark.parametrize("width", [320, 322, 50])
def test_rows_may_be_longer_in_memory(form: str, width: int) -> None:
    frame = check_source(source(only(form), width), at_most=1)[0]
    assert frame.image.shape == (240, width)
    assert frame.image.strides == ((width + 3) // 4 * 4, 1)
    assert len(np.unique(frame.image[0])) >= 7, "the bars of the test picture"
    assert (frame.image[:150] == frame.image[0]).all(), "rows are shifted against each other"


@real
@pytest.mark.parametrize("form", ["NV12", "GRAY8"])
def test_a_layout_that_only_the_buffer_knows(form: str) -> None:
    gst, video = LIBRARIES.gst, LIBRARIES.video
    memory = np.random.default_rng(0).integers(0, 256, 5000).astype(np.uint8)
    buffer = gst.Buffer.new_wrapped(memory.tobytes())
    planes = 2 if form == "NV12" else 1
    layout = [video.VideoFormat.from_string(form), 50, 20, planes, [100, 2500, 0, 0], [96, 96, 0, 0]]
    video.buffer_add_video_meta_full(buffer, video.VideoFrameFlags.NONE, *layout)
    caps = gst.Caps.from_string(f"video/x-raw,format={form},width=50,height=20,framerate=30/1")
    image, _ = luma(LIBRARIES, gst.Sample.new(buffer, caps, None, None))
    assert np.array_equal(image, memory[100 : 100 + 20 * 96].reshape(20, 96)[:, :50])


@real
@pytest.mark.parametrize(
    ("form", "colorimetry", "expected"),
    [
        ("NV12", "bt601", "limited"),
        ("I420", "bt709", "limited"),
        ("NV12", "1:4:7:1", "full"),  # range 1 (0 to 255), BT.601 matrix, sRGB, BT.709 primaries
        ("I420", "", "limited"),
        ("GRAY8", "", "full"),
    ],
)
def test_range(form: str, colorimetry: str, expected: str) -> None:
    more = f',colorimetry=(string)"{colorimetry}"' if colorimetry else ""
    assert check_source(source(only(form, more)), at_most=1)[0].luma_range == expected


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
def test_missing_elements_and_their_remedy() -> None:
    with pytest.raises(DependencyError, match=r"nvarguscamerasrc, nvvidconv; on a Jetson: .*nvidia-l4t-gst"):
        GStreamerSource("csi://0")
    with pytest.raises(
        DependencyError, match=r"no element nosuchdec; install it: .*gstreamer1.0-plugins-good"
    ):
        GStreamerSource("mjpeg:///dev/video0", elements=replace(PC, jpeg_decoder="nosuchdec"))


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
def test_a_start_that_fails_before_its_element_says_why(monkeypatch) -> None:
    class Hasty:
        """A real pipeline whose change of state has failed, while the error is still to come."""

        def __init__(self, pipeline) -> None:
            self.pipeline = pipeline

        def __getattr__(self, name: str):
            return getattr(self.pipeline, name)

        def get_state(self, timeout: int):
            return LIBRARIES.gst.StateChangeReturn.FAILURE, None, None

    parse = gstreamer.parse
    monkeypatch.setattr(gstreamer, "parse", lambda *parts: Hasty(parse(*parts)))
    late = replace(PC, converter="identity sleep-time=100000 error-after=2")
    with pytest.raises(SourceError, match=r"identity.*Failed after"):
        source(late)


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


def in_use() -> tuple[int, int]:
    """Open descriptors and threads of this process, the C libraries' threads too."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def test_a_library_that_is_loaded_after_gstreamer_may_still_throw(tmp_path) -> None:
    """GStreamer's libunwind and OpenCV's wheel together made ONNX Runtime crash on its first exception."""
    pytest.importorskip("gi", reason="no GStreamer: make gstreamer")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    code = (
        "import sys, cv2; from pathlib import Path; "
        "from edge.capture.gstreamer.pipeline import load; load(); "
        "from edge.engines.ort import OrtEngine; OrtEngine(Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, broken], capture_output=True, text=True, timeout=60)
    assert "is no usable ONNX file" in done.stderr
    assert done.returncode == 1
