"""The programs write no bytecode; the library leaves that to its caller."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("edge", "export", "calibration", "benchmarks")
# Python compiles a package before its first line runs, so these come too early.
FIRST = {"__init__", "__main__", "version", "start", "signals", "standard_streams"}


def written(folder: Path, *words: str) -> set[str]:
    """The modules whose bytecode a call leaves in a copy of the packages that has none."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "models")
        )
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environ | {"PYTHONPATH": str(folder)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {path.name.partition(".")[0] for path in folder.rglob("*.pyc")}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_program_writes_no_bytecode(package: str, tmp_path: Path) -> None:
    if package == "export":
        pytest.importorskip("torch")
    assert written(tmp_path, "-m", package, "--help") <= FIRST


def test_neither_do_its_children(tmp_path: Path) -> None:
    child = "subprocess.run([sys.executable, '-c', 'import edge.library'])"
    code = f"import subprocess, sys; from edge.system import start; start.program(); {child}"
    assert written(tmp_path, "-c", code) <= FIRST


def test_the_library_leaves_it_to_its_caller(tmp_path: Path) -> None:
    assert "library" in written(tmp_path, "-c", "import edge.library")
