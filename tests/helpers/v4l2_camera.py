"""The V4L2 driver of v4l2_camera.c around a Python program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def with_camera(library: Path, program: str, **settings: str) -> dict:
    """What ``program`` prints as JSON while /dev/video77 is the camera of tests/helpers/v4l2_camera.c."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**plain, **settings, "LD_PRELOAD": str(library)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
