"""Names of files are told as one line that commands no terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.system.json_schema import is_printable
from edge.system.one_line import one_line

ROOT = Path(__file__).parents[2]


@given(st.text())
def test_any_text_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
    assert one_line(one_line(text)) == one_line(text)


@given(st.text())
def test_what_is_told_is_what_a_manifest_may_hold(text: str) -> None:
    assert is_printable(one_line(text).encode("utf-8", "replace").decode())


@pytest.mark.parametrize(
    "mark", list("\u0600\u06dd\u200b\u200e\u200f\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
)
def test_nothing_hidden_stays_in_a_line(mark: str) -> None:
    assert one_line(f"gpj{mark}.exe") == rf"gpj\u{ord(mark):04x}.exe"


@pytest.mark.parametrize(
    "text", ["", "caf\u00e9 \u65e5\u672c 12\u202fPM \U0001f468\u200d\U0001f469", "l\udce9"]
)
def test_letters_stay(text: str) -> None:
    assert one_line(text) == text


def test_an_error_is_one_line_whatever_the_name(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge", "run", str(tmp_path / "two\nlines\x1b[31m.mp4")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert len([line for line in done.stderr.splitlines() if ": INFO:" not in line]) == 1
    assert r"two\nlines\x1b[31m.mp4 does not exist" in done.stderr
