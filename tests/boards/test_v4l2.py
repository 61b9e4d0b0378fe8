"""OpenCVSource on a real V4L2 device: the kernel's ``vivid`` in an emulated arm64 machine.

The times are those of an emulator: they show that something happens, not how fast a board does it.
vivid sends no MJPG; tests/capture/test_raw_frames.py has that.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import machine_v4l2 as machine
import pytest
import rootfs

pytestmark = pytest.mark.boards

HERE = Path(__file__).parent
BY_ID = "/dev/v4l/by-id/usb-vivid_1-video-index0"
BY_PATH = "/dev/v4l/by-path/platform-vivid.0-video-index0"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What inside_v4l2.py reports."""
    if reason := machine.why_not():
        pytest.skip(reason)
    files = {
        "/opt/inside.py": HERE / "inside_v4l2.py",
        "/opt/contracts.py": HERE.parent / "contracts.py",
        "/opt/edge": HERE.parents[1] / "edge",
    }
    began = time.monotonic()
    try:
        said, console = machine.run(tmp_path_factory.mktemp("machine"), files)
    except rootfs.Offline as error:
        pytest.skip(f"the machine cannot be built without network: {error}")
    print(f"{time.monotonic() - began:.0f} s in all\n{said}")  # the figures, for pytest -rA
    assert said.endswith("}\n"), f"it did not come to its end:\n{said[-1000:]}\n{console[-3000:]}"
    return json.loads(said)


def test_luma_comes_as_the_camera_sends_it(seen: dict) -> None:
    luma = seen["luma"]
    asked = "width 640, height 360, 30 fps"
    assert luma["said"] == [f"camera /dev/video0 delivers YUYV, {asked}; requested {asked}"]
    assert (luma["frames"], luma["shape"], luma["range"]) == (60, [360, 640], "limited")
    assert luma["strides"] == [1280, 2], "a view of the YUYV picture"


def test_color_is_as_it_was(seen: dict) -> None:
    color = seen["color"]
    assert (color["frames"], color["shape"], color["range"]) == (60, [360, 640, 3], "full")


def test_controls_are_set_where_the_driver_has_them(seen: dict) -> None:
    """vivid has a gain, and neither exposure nor mains frequency."""
    found = seen["controls"]
    assert (found["gain"], found["auto"]) == (77, 0)
    assert [text.split(", ")[0] for text in found["said"]] == [
        f"camera /dev/video0 has no control for source.{name}" for name in ("mains_hz", "exposure")
    ]


def test_a_format_without_luma_is_converted(seen: dict) -> None:
    """Asked for a wide picture, vivid has no MJPG, and OpenCV settles on BGR."""
    other = seen["no_luma"]
    assert other["said"][1].startswith("camera /dev/video0 delivers BGR3 instead of MJPG; ")
    assert (other["shape"], other["range"]) == ([720, 1280, 3], "full")


@pytest.mark.parametrize("mode", ["luma", "color", "no_luma"])
def test_stamps_are_monotonic_time(seen: dict, mode: str) -> None:
    assert seen[mode]["in_time"]


@pytest.mark.parametrize("fourcc", ["source", "YUYV", "NV12", "NV21", "YU12", "YV12", "GREY"])
def test_luma_is_the_gray_of_the_colors(seen: dict, fourcc: str) -> None:
    found = seen["formats"][fourcc]
    assert found["levels"] >= 7, "the bars of the test picture"
    assert found["most"] <= 2, "YUV, BGR and gray are each rounded"


def test_the_link_by_id_is_taken(seen: dict) -> None:
    assert seen["links"] == {BY_ID: "/dev/video0", BY_PATH: "/dev/video0"}
    assert seen["stable"] == BY_ID


@pytest.mark.parametrize(("fault", "node"), [("unbound", "/dev/video0"), ("unloaded", "/dev/video5")])
def test_a_camera_that_comes_back_is_read_again(seen: dict, fault: str, node: str) -> None:
    """``unbound`` from its driver as if unplugged; ``unloaded`` with its driver, back as another number."""
    found = seen[fault]
    assert found["links"] == {BY_ID: node, BY_PATH: node}
    assert len(found["outages"]) == 1
    assert list(found["rungs"]) == ["reopened"], "no thread hung"
    assert found["back_to_frame_s"] < 15, "at most 2 s between two openings, but a busy host and an emulator"
    assert found["shape"] == [360, 640], "luma again"
    assert found["indexes"]
    assert found["rising"]


def test_the_outage_is_told_once(seen: dict) -> None:
    told = [line for line in seen["unbound"]["said"] if " delivers " not in line]
    assert len(told) == 2
    assert told[0].startswith(f"no frame: camera {BY_ID} stopped after ")
    assert told[1].startswith("frames are back after ")


def test_nothing_leaks(seen: dict) -> None:
    assert seen["held"]["after"] == seen["held"]["before"], "descriptors, threads"
