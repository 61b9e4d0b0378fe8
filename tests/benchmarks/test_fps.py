"""The plain question, from outside: installed, as a script in a checkout, and with a wrong folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import tiny

from benchmarks import fps
from benchmarks.core.report import schema

ROOT = Path(__file__).parents[2]
HAAR = ["--set", "detector.kind=haar"]


@pytest.fixture
def bundle(tmp_path) -> Path:
    return tiny.write(tmp_path / "bundle")


def test_the_plain_question(bundle: Path) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "fps.py"
    words = ["--bundle", bundle, "--set", "detector.kind=haar", "--frames", "60"]
    done = subprocess.run(
        [sys.executable, str(script), *map(str, words)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "frames a second, decoding included" in done.stdout


def test_fps_needs_no_installed_package_and_keeps_a_report(bundle: Path, tmp_path: Path) -> None:
    out, root = tmp_path / "out.json", tmp_path / "checkout"
    root.mkdir()
    for name in ("benchmarks", "edge"):  # a checkout that no .pth file of this environment points to
        (root / name).symlink_to(ROOT / name)
    done = subprocess.run(
        # Without the site's .pth files, which an editable installation uses; its libraries stay reachable.
        [sys.executable, "-S", "-c", _SCRIPT, root / "benchmarks/fps.py", *_libraries(), "--",
         "--bundle", bundle, *HAAR, "--frames", "40", "--json", out],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for told in ("faces in a frame", "network steps a second", "working time, median", "governor"):
        assert told in done.stdout
    jsonschema.validate(json.loads(out.read_text("utf-8")), schema())


_SCRIPT = """
import runpy, sys
at = sys.argv.index("--")
script, sys.path[0:1], sys.argv = sys.argv[1], sys.argv[2:at], [sys.argv[1], *sys.argv[at + 1:]]
runpy.run_path(script, run_name="__main__")
"""


def _libraries() -> list[str]:
    return [path for path in sys.path if path.endswith("site-packages")]


def test_fps_refuses_a_folder_that_is_not_there(capsys) -> None:
    assert fps.main(["--json", "no/such/folder/out.json"]) == 2
    assert "does not exist" in capsys.readouterr().err
