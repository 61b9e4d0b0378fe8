"""The commands from outside: what they print, their exit codes, and that they ask nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import traced
from board_trees import JP6, PC, PI4, plant
from hypothesis import given
from hypothesis import strategies as st

from edge.doctor import telling
from edge.system.finding import LEVELS, Finding
from edge.system.json_schema import is_printable, problems

ROOT = Path(__file__).parents[2]
FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
SCHEMA = json.loads((Path(__file__).parent / "doctor.schema.json").read_text())


def edge(*words: object, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", *map(str, words)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("tree", "change", "code", "worst"),
    [
        (PC, {}, 0, "note"),
        (PI4, {FIRMWARE: "50000\n"}, 1, "warning"),
        (JP6, {"usr/bin/python3.10": None}, 2, "fault"),
    ],
)
def test_the_exit_code_is_that_of_the_worst_finding(
    tree: dict, change: dict, code: int, worst: str, tmp_path: Path
) -> None:
    done = edge("doctor", "--json", "--sysroot", plant(tmp_path, tree, change))
    assert done.returncode == code, done.stderr
    told = json.loads(done.stdout)
    assert not list(problems(told, SCHEMA, SCHEMA))
    assert told["worst"] == worst


def test_the_json_of_this_machine_fits_the_schema() -> None:
    done = edge("doctor", "--json")
    told = json.loads(done.stdout)
    assert not list(problems(told, SCHEMA, SCHEMA))
    assert done.returncode == {"ok": 0, "note": 0, "warning": 1, "fault": 2}[told["worst"]]
    assert not done.stderr


def test_lines_are_plain_text_with_the_worst_last(tmp_path: Path) -> None:
    done = edge("doctor", "--sysroot", plant(tmp_path, PI4, {FIRMWARE: "1\n"}), COLUMNS="80")
    assert done.stdout.isprintable() or set(filter(lambda c: not c.isprintable(), done.stdout)) == {"\n"}
    *_, fault, fix, summary = done.stdout.splitlines()
    assert fault == "fault    throttling  under-voltage now"
    assert fix.startswith(" " * 21 + "fix: use the board maker's own supply")
    assert summary.startswith("1 fault, ")


def test_a_tree_that_is_none() -> None:
    done = edge("doctor", "--sysroot", "/none")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "emotion-edge: error: --sysroot /none is not a folder; give the root folder of a machine\n"
    )


def test_status_is_two_lines_and_fast(tmp_path: Path) -> None:
    began = time.monotonic()
    done = edge("status")
    assert time.monotonic() - began < 5, "0.2 s on an idle machine"
    first, second = done.stdout.splitlines()
    assert first.startswith("health  ")
    assert second.startswith("doctor  ")
    assert done.returncode in (0, 1, 2)


def test_status_tells_of_settings_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[source]\nadress = 1\n")
    done = edge("status", "-c", tmp_path / "a.toml")
    assert done.returncode == 2
    assert "fault: settings: unknown key source.adress" in done.stdout


def test_status_loads_no_large_library_and_a_run_loads_no_doctor() -> None:
    ask = "import sys, edge.{}; print(*[n for n in ('numpy', 'cv2', 'edge.doctor') if n in sys.modules])"
    for module, loaded in (("cli.first_aid", ""), ("doctor", "edge.doctor"), ("cli.program", "numpy cv2")):
        done = subprocess.run(
            [sys.executable, "-c", ask.format(module)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert set(done.stdout.split()) <= set(loaded.split()), module


@pytest.mark.skipif(not traced.strace(), reason="strace is missing, or the kernel does not permit it")
def test_nobody_is_asked_over_a_network(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    run = traced.start([sys.executable, "-m", "edge", "doctor"], tmp_path / "trace", env, tmp_path)
    told, _ = run.communicate(timeout=120)
    assert run.returncode in (0, 1, 2), told
    seen = (tmp_path / "trace").read_text(errors="replace")
    assert len(seen) > 10_000, "strace saw the program"
    assert not traced.network(seen)


FINDINGS = st.lists(
    st.builds(Finding, st.sampled_from(["a", "power-mode"]), st.sampled_from(LEVELS), st.text(), st.text())
)


@given(FINDINGS, st.integers(1, 300))
def test_any_finding_is_told_in_whole_lines(findings: list[Finding], columns: int) -> None:
    lines = list(telling.lines(findings, columns))
    assert all(map(is_printable, lines))
    assert len(lines) >= len(findings) + 1
    assert is_printable(telling.worst_line(findings))
    told = json.loads(telling.as_json(findings))
    assert len(told["findings"]) == len(findings)
    levels = [LEVELS.index(line.split()[0]) for line in lines[:-1] if line.startswith(LEVELS)]
    assert levels == sorted(levels)
