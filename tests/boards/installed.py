"""What lies in the container: Debian, the wheels, the package as a user installs it, and a clip.

All but the package and the clip is made once and kept; see ``rootfs``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import rootfs
from container import HOME

ROOT = Path(__file__).parents[2]
SITE = f"{HOME}/lib/python3.13/site-packages"
WHEELS = ["numpy", "onnxruntime>=1.17", "opencv-python-headless>=4.8,<5,!=4.11.0.*"]


def why_not() -> str | None:
    """What is missing here to make and boot the container; None where nothing is."""
    reason = rootfs.why_not()
    if reason is None and shutil.which("systemd-nspawn") is None:
        reason = "not installed: systemd-nspawn (package systemd-container)"
    return reason


@contextmanager
def system(folder: Path) -> Iterator[Path]:
    """A root to boot, in ``folder``; what is written to it is in there, too. May raise ``rootfs.Offline``."""
    base = rootfs.with_packages("service", ["procps", "iproute2"], _fill, version="|".join(WHEELS))
    upper, work, root = (folder / name for name in ("upper", "work", "root"))
    for path in (upper, work, root):
        path.mkdir(mode=0o755)
    layers = f"lowerdir={base},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True)
    try:
        _install_package(root, folder / "copy")
        _write_clip(root / HOME / "clip.avi")
        shutil.copy(Path(__file__).with_name("looped_camera.py"), root / HOME)
        yield root
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=False)


def _fill(root: Path) -> None:
    """The virtual environment with the wheels, from the host's pip, which knows its way to them."""
    made = rootfs.run(root, ["python3", "-m", "venv", "--without-pip", f"/{HOME}"])
    assert made.returncode == 0, made.stderr
    platforms = [f"--platform=manylinux{tag}_x86_64" for tag in ("_2_28", "_2_27", "2014")]
    _pip(root, "--python-version=3.13", *platforms, "--only-binary=:all:", *WHEELS)


def _pip(root: Path, *words: str) -> None:
    quiet = ["--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]
    command = [sys.executable, "-m", "pip", "install", *quiet, "--target", str(root / SITE), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _install_package(root: Path, copy: Path) -> None:
    """As a user does: from the sources, by pip; from a copy, because setuptools writes beside them."""
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("edge", "export", "calibration", "benchmarks"):
        shutil.copytree(ROOT / name, copy / name, ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    _pip(root, "--no-deps", str(copy))


def _write_clip(path: Path) -> None:
    """The part of the demo's scene in which a face is always seen."""
    from edge.capture.demo import FPS, HEIGHT, WIDTH, DemoSource

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT))
    with DemoSource() as scene:
        for frame in scene.frames():
            if 2.5 <= frame.timestamp_s < 10.5:
                writer.write(frame.image)
    writer.release()
