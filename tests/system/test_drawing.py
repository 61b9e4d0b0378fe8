"""What matplotlib writes stands in this project's own cache, and drawing needs no writable cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="drawing needs the extra [demo]")

ROOT = Path(__file__).parents[2]
DRAW = "from edge.system.drawing import new_figure; new_figure().subplots().figure.savefig('drawn.png')"


def draw(folder: Path, cache: Path, before: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Draw in an empty home, beside a program ``fc-list`` that leaves a file when it is called."""
    for name in ("home", "tmp", "bin"):
        (folder / name).mkdir(exist_ok=True)
    program = folder / "bin" / "fc-list"
    program.write_text(f"#!/bin/sh\n: > {folder}/fc-list-was-called\n")
    program.chmod(0o755)
    environ = {
        "PATH": f"{folder}/bin:{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "XDG_CACHE_HOME": str(cache),
        "PYTHONPATH": str(ROOT),
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-B", "-c", before + DRAW],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (folder / "drawn.png").stat().st_size > 1000
    return done


def test_the_list_of_fonts_stands_in_our_cache(tmp_path: Path) -> None:
    told = draw(
        tmp_path, tmp_path / "cache", before="import logging; logging.basicConfig(level='INFO'); "
    ).stderr
    assert told == ""
    assert list((tmp_path / "cache/emotion-edge/matplotlib").glob("fontlist*.json"))
    assert not [*(tmp_path / "home").iterdir(), *(tmp_path / "tmp").iterdir()]
    assert not (tmp_path / "fc-list-was-called").exists()


def test_a_cache_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, no folder: this stops root, too")
    assert draw(tmp_path, tmp_path / "cache").stderr == ""
    assert not list((tmp_path / "tmp").iterdir()), "the temporary folder is removed"


def test_a_folder_that_the_user_named_stays(tmp_path: Path) -> None:
    draw(tmp_path, tmp_path / "cache", MPLCONFIGDIR=str(tmp_path / "mine"))
    assert list((tmp_path / "mine").glob("fontlist*.json"))
    assert not (tmp_path / "cache").exists()


def test_the_matplotlib_of_a_caller_stays_as_it_is(tmp_path: Path) -> None:
    draw(tmp_path, tmp_path / "cache", before="import matplotlib.font_manager; ")
    assert not (tmp_path / "cache/emotion-edge").exists()


def test_path_is_as_before(tmp_path: Path) -> None:
    after = f"; import os; assert os.environ['PATH'] == {os.environ['PATH']!r}"
    code = "import edge.system.drawing as d; d.new_figure()" + after
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True, timeout=120)
