"""Cameras that give luma are opened in color for a network that takes it, and for no other."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from gstreamer_parts import PC, real
from v4l2_camera import with_camera

pytest.importorskip("onnx")
import hue

from edge import session
from edge.capture.gstreamer.source import GStreamerSource
from edge.capture.sources import open_source
from edge.config import BundleConfig, Config, SourceConfig


@pytest.mark.parametrize("color", ["rgb", "gray"])
def test_a_camera_for_luma_is_opened_in_color_where_the_network_takes_it(
    tmp_path: Path, camera_library: Path, color: str
) -> None:
    program = f"""
import json, hue
from edge import session
from edge.config import BundleConfig, Config, SourceConfig
config = Config(source=SourceConfig("/dev/video77"), bundle=BundleConfig({str(tmp_path / "b")!r}))
with session.parts(config) as parts:
    frame = next(iter(parts.frames))
    print(json.dumps([frame.image.shape, hue.answer(parts, frame)]))
"""
    hue.write(tmp_path / "b", color=color)
    shape, answer = with_camera(camera_library, program, BLUE="1")
    assert (shape, answer) == (([480, 640, 3], "third") if color == "rgb" else ([480, 640], "first"))
    if color == "rgb":
        assert with_camera(camera_library, program, GREY="1") == [[480, 640], "first"]


def test_a_child_process_reads_in_color_too(tmp_path: Path, camera_library: Path) -> None:
    program = """
import json
from edge.capture.reconnect.subprocess_source import ChildSource
from edge.config import SourceConfig
with ChildSource(SourceConfig("/dev/video77", color=True)) as child:
    image = next(child.frames()).image
print(json.dumps([image.shape, int(image[..., 0].mean()), int(image[..., 2].mean())]))
"""
    shape, blue, red = with_camera(camera_library, program, BLUE="1")
    assert shape == [480, 640, 3]
    assert blue > red + 50


def test_a_camera_of_a_raspberry_pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import stand_in_picamera2 as stand_in

    stand_in.install(monkeypatch)  # red is its brightest channel
    for color, shape, expected in (("rgb", (480, 640, 3), "first"), ("bgr", (480, 640, 3), "third"),
                                   ("gray", (480, 640), "first")):  # fmt: skip
        bundle = BundleConfig(str(hue.write(tmp_path / color, color=color)))
        with session.parts(Config(source=SourceConfig("picam://0"), bundle=bundle)) as parts:
            frame = stand_in.first(open_source(parts._source))  # its pictures are blank, and so never pass
            assert (frame.image.shape, hue.answer(parts, frame)) == (shape, expected)


@real
@pytest.mark.parametrize("width", [320, 50])
def test_a_camera_of_a_jetson(tmp_path: Path, width: int) -> None:
    elements = replace(
        PC,
        csi="videotestsrc is-live=true pattern=blue name=camera{camera}",
        color_caps="video/x-raw,format={BGRx,BGRA}",
    )
    config = Config(bundle=BundleConfig(str(hue.write(tmp_path / "b", color="rgb"))))
    with (
        session.parts(config) as parts,
        GStreamerSource("csi://0", width, 240, 30.0, elements, color=True) as camera,
    ):
        frame = next(camera.frames())
        assert frame.image.shape == (240, width, 3)
        assert frame.image.reshape(-1, 3).mean(axis=0) == pytest.approx((255, 0, 0), abs=6)
        assert hue.answer(parts, frame) == "third"


def test_a_check_tells_what_color_costs(tmp_path: Path, camera_library: Path) -> None:
    program = f"""
import contextlib, io, json
from edge.cli.check import check
from edge.config import BundleConfig, Config, DetectorConfig, SourceConfig
config = Config(source=SourceConfig("/dev/video77"), bundle=BundleConfig({str(tmp_path / "b")!r}),
                detector=DetectorConfig(kind="haar"))
with contextlib.redirect_stdout(io.StringIO()) as said:
    check(config)
print(json.dumps(said.getvalue()))
"""
    words = r"^color     [\d.]+ ms of the processor per frame, [\d.]+ ms as luma \([\d.]+ times\)$"
    hue.write(tmp_path / "b", color="rgb")
    assert re.search(words, with_camera(camera_library, program, BLUE="1"), re.M)
    assert "color  " not in with_camera(camera_library, program, GREY="1")
    hue.write(tmp_path / "b", color="gray")
    assert "color  " not in with_camera(camera_library, program, BLUE="1")
