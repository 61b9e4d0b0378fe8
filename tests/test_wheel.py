"""The wheel in an empty environment, far from the repository: the demo, the library and a benchmark run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytest.importorskip("build")
pytestmark = [pytest.mark.export, pytest.mark.slow]  # once, where everything is tested

ROOT = Path(__file__).parents[1]


def call(*words: str | Path, cwd: Path, timeout_s: float = 300) -> str:
    """Run a command in ``cwd`` and return its standard output."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "EMOTION"))}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environ, capture_output=True, text=True, timeout=timeout_s
    )
    assert done.returncode == 0, f"{words}: {done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the repository."""
    copy = tmp_path_factory.mktemp("source") / "emotion-edge"
    shutil.copytree(
        ROOT, copy, ignore=shutil.ignore_patterns(".*", "tests", "out", "work", "dist", "build", "*.egg-info")
    )
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", copy / "dist", cwd=copy)
    (archive,) = (copy / "dist").glob("emotion_edge-*.tar.gz")
    with tarfile.open(archive) as source:
        assert f"{archive.name.removesuffix('.tar.gz')}/constraints.txt" in source.getnames()
    (found,) = (copy / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an environment that holds the wheel and nothing of the repository."""
    folder = tmp_path_factory.mktemp("away")
    call(sys.executable, "-m", "venv", "venv", cwd=folder)
    words = ["install", "--quiet", "--no-compile", "--constraint", ROOT / "constraints.txt"]
    call("venv/bin/pip", *words, f"{wheel}[cpu,demo,bench]", cwd=folder, timeout_s=600)
    return folder


def test_it_is_of_the_version_that_stands_in_one_place(installed: Path, wheel: Path) -> None:
    version = re.search(r'__version__ = "(.+)"', (ROOT / "edge/version.py").read_text())[1]
    assert wheel.name.startswith(f"emotion_edge-{version}-")
    assert call("venv/bin/emotion-edge", "--version", cwd=installed) == f"emotion-edge {version}\n"


def test_the_demo_runs(installed: Path) -> None:
    table = call("venv/bin/emotion-edge", "demo", "--out", "demo", cwd=installed)
    assert "happiness" in table
    assert {path.name for path in (installed / "demo").iterdir()} == {
        "annotated.mp4",
        "trajectory.png",
        "estimates.jsonl",
    }


def test_the_library_of_the_readme_runs(installed: Path) -> None:
    """Its text is the test: the first block of Python in the README."""
    block = re.search(r"```python\n(.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    assert len([line for line in block.splitlines() if line]) <= 10
    (installed / "snippet.py").write_text(block)
    lines = call("venv/bin/python", "snippet.py", cwd=installed).splitlines()
    assert len(lines) > 100
    assert all(re.fullmatch(r"[0-9.]+ s, face \d: \w+", line) for line in lines)
    assert sum(line.endswith("happiness") for line in lines) > 50


def test_a_benchmark_runs(installed: Path) -> None:
    words = ["start", "--runs", "1", "--json", "a.json", "--html", "a.html"]
    call("venv/bin/emotion-bench", *words, cwd=installed)
    assert (installed / "a.html").read_text().startswith("<!doctype html>")
