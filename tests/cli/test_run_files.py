"""The shipped program on files, folders and pictures of strangers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import made_clips as clips
import numpy as np
import pytest
import tiny

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("tiny") / "tiny")


def run(bundle: Path, source: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "edge", "run", source, "--bundle", str(bundle)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(line, capture_output=True, text=True, timeout=60, cwd=cwd, env=environment)


def test_a_pipe_that_nobody_writes_to_ends_at_once(bundle: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f.mp4")
    done = run(bundle, "f.mp4", tmp_path)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if "error" in line]
    assert errors == ["emotion-edge: error: f.mp4 is a named pipe, not a video file; give a regular file"]


@pytest.mark.parametrize("name", ["12:30.mp4", "http:127.0.0.1:9", "caf\udce9.mp4"])
def test_a_clip_of_any_name_is_read(bundle: Path, tmp_path: Path, name: str) -> None:
    os.replace(clips.write(tmp_path / "clip.mp4", 5), tmp_path / name)
    done = run(bundle, name, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "5 frames" in done.stderr


def test_a_name_that_is_no_utf_8_is_printed(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "edge", "config", "print", "--set", "source.address=caf\udce9.mp4"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert r'address = "caf\\xe9.mp4"' in done.stdout


def test_a_folder_and_a_picture(bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    png = cv2.imencode(".png", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    for name in ("1.png", "2.png", "._2.png", "3.heic"):
        (folder / name).write_bytes(png)
    (folder / "4.png").write_bytes(png[:30])
    done = run(bundle, str(folder), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 frames" in done.stderr
    assert done.stderr.count("passed over") == 1
    assert "caf\\xe9: passed over 1 .heic, 1 hidden, 1 broken (4.png: " in done.stderr
    assert "1 frame " in run(bundle, str(folder / "1.png"), tmp_path).stderr
