"""PicameraSource on the real picamera2, in Debian 13 with libcamera's virtual camera."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from boards import rootfs

pytestmark = pytest.mark.boards

HERE = Path(__file__).parent
SHIM = HERE / "dmabuf_picamera2.c"
DEBIAN = (
    "python3-libcamera",
    "python3-prctl",
    "python3-piexif",
    "python3-av",
    "python3-pil",
    "gcc",
    "libc6-dev",
)
WHEELS = ("picamera2==0.3.38", "simplejpeg==1.9.0", "videodev2==0.0.4")
# picamera2 imports these for screens and raw photographs, which no test here touches.
STUBS = {
    "pykms.py": "from unittest.mock import MagicMock\nPixelFormat = MagicMock()\n",
    "pidng/__init__.py": "",
    "pidng/core.py": "class PICAM2DNG: ...\n",
    "pidng/camdefs.py": "class Picamera2Camera: ...\n",
}
VIRTUAL = """
"Virtual0":
  supported_formats:
  - {width: 640, height: 480, frame_rates: [30, 30]}
  frames: {path: "/opt/frames"}
  location: "CameraLocationFront"
  model: "virtual"
"""
LARGE = "  - {width: 1280, height: 960, frame_rates: [30, 30]}\n"  # added to the root's own size for each run
DESCRIBED = "/usr/share/libcamera/pipeline/virtual"
START = """
mkdir /dev/dma_heap && : > "/dev/dma_heap/linux,cma"
LD_PRELOAD=/opt/dmabuf.so exec python3 -B /opt/tests/boards/inside_picamera2.py
"""
PICTURES = 5  # picture i is 40 + 30 i on the left and 20 brighter on the right


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What inside_picamera2.py reports."""
    if reason := rootfs.why_not():
        pytest.skip(reason)
    try:
        version = SHIM.read_text() + repr((WHEELS, STUBS, VIRTUAL))
        root = rootfs.with_packages("picamera2", DEBIAN, finish, version)
    except rootfs.Offline as error:
        pytest.skip(f"the root file system cannot be made without network: {error}")
    frames = tmp_path_factory.mktemp("frames")
    for i in range(PICTURES):
        picture = np.full((480, 640, 3), 40 + 30 * i, np.uint8)
        picture[:, 320:] += 20
        cv2.imwrite(str(frames / f"{i:03}.jpg"), picture)
    described = tmp_path_factory.mktemp("described")
    (described / "virtual.yaml").write_text(VIRTUAL.replace("  frames:", f"{LARGE}  frames:"))
    edge = HERE.parents[1] / "edge"
    done = rootfs.run(
        root,
        ["sh", "-c", START],
        {HERE.parent: "/opt/tests", edge: "/opt/edge", frames: "/opt/frames", described: DESCRIBED},
        {
            "PYTHONPATH": "/opt/site:/opt/tests:/opt/tests/helpers:/opt",
            "LIBCAMERA_PIPELINES_MATCH_LIST": "virtual",
            "LIBCAMERA_LOG_LEVELS": "*:FATAL",
        },
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stdout)  # the figures, for pytest -rA
    return json.loads(done.stdout)


def finish(root: Path) -> None:
    """picamera2 from wheels, stubs, the preloaded dma-buf heap and the virtual camera's description."""
    site = root / "opt" / "site"
    for wheel in download(root / "opt" / "wheels"):
        zipfile.ZipFile(wheel).extractall(site)
    for name, text in STUBS.items():
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text(text)
    described = root / "usr/share/libcamera/pipeline/virtual/virtual.yaml"
    described.parent.mkdir(parents=True)
    described.write_text(VIRTUAL)
    (root / "opt" / SHIM.name).write_text(SHIM.read_text())
    build = ["gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", "/opt/dmabuf.so", f"/opt/{SHIM.name}"]
    done = rootfs.run(root, build)
    assert done.returncode == 0, done.stderr


def download(folder: Path) -> list[Path]:
    # By the pip of this environment, which knows how to reach an index from here; Debian 13 has Python 3.13.
    target = ("--only-binary=:all:", "--python-version=3.13", "--platform=manylinux_2_28_x86_64")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *target, f"--dest={folder}", *WHEELS],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise rootfs.Offline(done.stderr.strip().splitlines()[-1])
    return sorted(folder.glob("*.whl"))


def test_the_stand_in_has_the_signatures_of_the_real_library(seen: dict) -> None:
    assert seen["signatures"] == []


def test_frames_are_owned_luma_of_the_pictures(seen: dict) -> None:
    assert seen["contract"] == 20
    read = seen["read"]
    assert (read["frames"], read["shape"], read["range"]) == (300, [480, 640], "full")
    assert read["owned"]
    expected = [50 + 30 * i for i in range(PICTURES)]
    assert read["means"] == pytest.approx(expected, abs=1), "JPEG rounds, chroma in the image would be 128"
    assert read["halves"][1] - read["halves"][0] == pytest.approx(20, abs=1), "the rows are shifted"


def test_a_large_stream_to_draw_on_comes_beside_the_small_one(seen: dict) -> None:
    """One request gives both, each in its own size.

    The virtual camera has two streams but only NV12, so the large one is read as luma here; that BGR is
    asked for and copied right shows on the stand-in, never on the real library
    (tests/capture/picamera).
    """
    two = seen["two_streams"]
    assert (two["frames"], two["names"]) == (60, ["lores", "main"])
    assert two["shapes"] == [[480, 640], [960, 1280]]
    assert two["means"] == pytest.approx([50 + 30 * i for i in range(PICTURES)], abs=1)
    assert two["apart"] < 1, "the two pictures of a frame are of different moments"
    assert (two["owned"], two["rising"], two["range"]) == (True, True, "full")


def test_times_are_monotonic_and_young(seen: dict) -> None:
    read = seen["read"]
    assert read["rising"]
    assert 0 < read["newest_s"] <= read["oldest_s"] < 0.5, "the camera is unpaced, but a machine may be busy"
    assert seen["slow_reader_s"] < 0.5, "a reader who takes 0.2 s for each frame gets old ones: they queue"


def test_range_follows_the_color_space(seen: dict) -> None:
    assert seen["ranges"] == ["full", "limited", "limited"]


def test_faults_are_named(seen: dict) -> None:
    assert seen["absent"] == "camera picam://7 does not exist; use one of: picam://0 (virtual)"
    assert seen["color"].startswith("camera picam://0 delivers NV12, expected RGB888; ")
    assert len(seen["leaks"]["said"]) == 1
    assert "is in use (Failed to acquire camera: Device or resource busy); " in seen["leaks"]["said"][0]


@pytest.mark.parametrize("state", ["closed", "closed_silent"])
def test_closing_from_another_thread_ends_the_reader(seen: dict, state: str) -> None:
    assert seen[state]["held"] == (4 if state == "closed_silent" else 0)
    assert seen[state]["ended_s"] is not None, "frames() goes on"
    assert seen[state]["ended_s"] < 1.0
    assert seen[state]["closed_s"] < 1.5


def test_a_program_ends_though_a_silent_camera_was_not_closed(seen: dict) -> None:
    assert seen["exit_s"] is not None, "it hangs in picamera2's own clean-up"


def test_nothing_leaks(seen: dict) -> None:
    leaks = seen["leaks"]
    assert leaks["after"] == leaks["before"], "descriptors, threads after 20 cameras"
    (files, threads), (files_after, threads_after) = leaks["refused"]
    # The running camera maps the frame at hand: a descriptor for each of its four buffers at most.
    assert files_after <= files + 4, "20 refusals left descriptors"
    assert threads_after == threads
