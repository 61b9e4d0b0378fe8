"""Runs ``emotion-edge kit make`` from outside, on tiny wheels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import tiny_wheels

from edge.deploy.kit import targets

ROOT = Path(__file__).parents[2]
SETTINGS = (
    '[source]\naddress = "/dev/video0"\n[detector]\nkind = "haar"\n[output]\njsonl = "estimates.jsonl"\n'
)
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
TARGET = targets.find("pi-trixie")
OWN = next(target for target in targets.TARGETS if target.python == VERSION)  # compiled here
COMPILED = ("--target", OWN.name, "--python", VERSION, "--compile-with", sys.executable)


def filled(folder: Path) -> Path:
    (folder / "kiosk.toml").write_text(SETTINGS)
    tiny_wheels.write(folder / "wheels", TARGET)
    return folder


def words(folder: Path, *options: str, out: str = "KIT") -> list[str]:
    given = ["--target", TARGET.name, "-c", str(folder / "kiosk.toml"), "--wheels", str(folder / "wheels")]
    if "--compile-with" not in options:
        given.append("--no-bytecode")
    return [sys.executable, "-m", "edge", "kit", "make", *given, *options, "-o", str(folder / out)]


def make(folder: Path, *options: str, out: str = "KIT", **how: Any) -> subprocess.CompletedProcess[str]:
    """Run it on the tiny wheels; the weights are accepted."""
    command = words(folder, "--accept-research-weights", *options, out=out)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **how)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """Its one line of error."""
    assert done.returncode == 2, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("emotion-edge: error: ")
    assert "Traceback" not in done.stderr
    return line


def deb(kit: Path) -> Path:
    (path,) = kit.glob("*.deb")
    return path


def unpacked(kit: Path, to: Path) -> Path:
    subprocess.run(["dpkg-deb", "--raw-extract", str(deb(kit)), str(to)], check=True)
    return to


def contents(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of each file of a kit."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
