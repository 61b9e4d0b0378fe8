"""What is asked of a Raspberry Pi camera, and what is told where it cannot be opened."""

from __future__ import annotations

import logging
import os
import sys

import pytest
from contracts import check_source
from stand_in_picamera2 import first

from edge.capture.picamera.source import PicameraSource
from edge.errors import DependencyError, SourceError


def test_what_is_asked_of_the_camera(board, caplog: pytest.LogCaptureFixture) -> None:
    first(PicameraSource("picam://0", 320, 240, 20.0))
    asked = board.configured[-1]
    assert asked["main"]["size"] == (320, 240)
    assert asked["controls"] == {"FrameDurationLimits": (50000, 50000)}, "microseconds"
    assert asked["raw"] is None, "a raw stream costs memory that nobody reads"
    assert asked["sensor"] == {"output_size": (2304, 1296)}, "the whole field of view, binned"
    first(PicameraSource("picam://0"))
    asked = board.configured[-1]
    assert (asked["main"]["size"], asked["controls"]["FrameDurationLimits"][0]) == ((640, 480), 33333)
    assert caplog.records == []


def test_wishes_that_the_camera_does_not_grant_are_named(board, caplog: pytest.LogCaptureFixture) -> None:
    board.controls, board.size = {}, (800, 600)
    assert first(PicameraSource("picam://0", 320, 240, 20.0)).image.shape == (600, 800)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "fps=20 is ignored" in caplog.text
    assert "800x600 instead of 320x240" in caplog.text
    assert board.configured[-1]["controls"] == {}, "a control that is not there is an error in picamera2"


@pytest.mark.parametrize(
    "address", ["picam://", "picam://one", "picam://-1", "picam://²", "0", "picam://0/1"]
)
def test_addresses_that_name_no_camera(board, address: str) -> None:
    with pytest.raises(SourceError, match="as in picam://0") as caught:
        PicameraSource(address)
    assert str(caught.value).startswith(address)


def test_no_such_camera(board) -> None:
    with pytest.raises(SourceError, match=r"picam://2 does not exist; use one of: picam://0 \(imx708\)$"):
        PicameraSource("picam://2")
    board.models = ()
    with pytest.raises(SourceError, match="picam://0 does not exist; none found: check the ribbon cable"):
        PicameraSource("picam://0")


def test_a_camera_in_use_can_be_waited_for(board) -> None:
    board.busy = True
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(SourceError, match=r"0 is in use \(Failed .* busy\); stop the other program"):
            PicameraSource("picam://0")
    assert len(os.listdir("/proc/self/fd")) == before, "each refusal left descriptors"
    board.busy = False
    check_source(PicameraSource("picam://0"))


def test_a_camera_that_does_not_start_is_closed(board) -> None:
    board.start_fault = RuntimeError("Failed to start camera:\n Invalid argument")
    with pytest.raises(SourceError, match="does not start: Failed to start camera: Invalid argument; try"):
        PicameraSource("picam://0")


@pytest.mark.parametrize(("draw", "asked"), [(False, "YUV420"), (True, "RGB888")])
def test_a_usb_camera_is_sent_to_v4l2(board, draw: bool, asked: str) -> None:
    board.format, board.streams = "MJPEG", 1
    with pytest.raises(SourceError, match=f"delivers MJPEG, expected {asked}; use a USB camera, /dev/video0"):
        PicameraSource("picam://0", draw=draw)


def test_a_missing_library_names_the_package(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(DependencyError, match=r"sudo apt install python3-picamera2.*--system-site-packages"):
        PicameraSource("picam://0")


def test_a_library_that_does_not_fit_numpy_is_explained(monkeypatch, tmp_path) -> None:
    (tmp_path / "picamera2.py").write_text("raise ValueError('numpy.dtype size changed')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    with pytest.raises(DependencyError, match=r"numpy.dtype size changed.*pip uninstall numpy"):
        PicameraSource("picam://0")
