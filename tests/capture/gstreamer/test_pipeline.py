"""Pipelines in words, what GStreamer lacks, and the libraries it brings along."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from gstreamer_parts import PC, real

from edge.capture.gstreamer.pipeline import description
from edge.capture.gstreamer.source import GStreamerSource
from edge.errors import DependencyError, SourceError


def test_the_pipelines_of_a_jetson() -> None:
    sink = "nvvidconv ! video/x-raw,format=NV12 ! appsink name=luma max-buffers=1 drop=true sync=false"
    assert description("csi://1", ",width=1280,height=720,framerate=30/1") == (
        "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),format=NV12,width=1280,height=720,"
        f"framerate=30/1 ! {sink}"
    )
    assert description("mjpeg:///dev/video0", ",width=640") == (
        f'v4l2src device="/dev/video0" ! image/jpeg,width=640 ! nvv4l2decoder mjpeg=1 ! {sink}'
    )


def test_color_is_asked_of_the_converter_not_of_the_camera() -> None:
    luma, color = (description("csi://0", color=wish) for wish in (False, True))
    assert color == luma.replace("nvvidconv ! video/x-raw,format=NV12", "nvvidconv ! video/x-raw,format=BGRx")


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
def test_missing_elements_and_their_remedy() -> None:
    with pytest.raises(DependencyError, match=r"nvarguscamerasrc, nvvidconv; on a Jetson: .*nvidia-l4t-gst"):
        GStreamerSource("csi://0")
    with pytest.raises(
        DependencyError, match=r"no element nosuchdec; install it: .*gstreamer1.0-plugins-good"
    ):
        GStreamerSource("mjpeg:///dev/video0", elements=replace(PC, jpeg_decoder="nosuchdec"))


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
