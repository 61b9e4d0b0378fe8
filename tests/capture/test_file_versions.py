"""Files are read with the PyAV of this environment, and with that of a board's system."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SYSTEM = "/usr/bin/python3"


@pytest.mark.parametrize("python", [sys.executable, SYSTEM])
def test_files_are_read(python: str, tmp_path: Path) -> None:
    found = shutil.which(python)
    if found is None or subprocess.run([python, "-c", "import av, cv2"], capture_output=True).returncode:
        pytest.skip(f"{python} lacks PyAV or OpenCV: sudo apt install python3-av python3-opencv")
    paths = f"{ROOT}:{ROOT / 'tests' / 'helpers'}"
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    script = ROOT / "tests" / "helpers" / "file_checks.py"
    done = subprocess.run(
        [python, str(script), str(tmp_path)], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("right with PyAV")
