"""Cameras that the tests of a file share: one on the network, and a V4L2 driver in C."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rtsp_server import Camera, serve


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    with serve() as camera:
        yield camera


@pytest.fixture(scope="module")
def camera_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tests/helpers/v4l2_camera.c, compiled."""
    compiler = shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("the camera is written in C for Linux, and there is no gcc")
    library = tmp_path_factory.mktemp("camera") / "camera.so"
    source = Path(__file__).parents[1] / "helpers" / "v4l2_camera.c"
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], capture_output=True, text=True
    )
    if "linux/videodev2.h" in done.stderr:
        pytest.skip("the kernel's headers are not installed: linux-libc-dev")
    assert done.returncode == 0, done.stderr
    return library
