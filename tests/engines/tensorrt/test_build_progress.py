"""How far a build is, as TensorRT's phases, the console and another process tell it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import bundle as bundles
from edge.engines.tensorrt import build_progress, command, plans
from edge.engines.tensorrt.build_progress import Phases, Progress
from edge.errors import EdgeError

PYTHON = sys.executable
KEY = plans.Key("tensorrt", "10.3.0", "Orin", "8.7", "6.2 (L4T 36.4.3)", "cafe", "ab" * 32, "fp32", 8)

# As TensorRT-RTX 1.7 builds the reference bundle, shortened. The fifth step of the outermost phase is most of
# the work, and its last step is never reported.
BUILD = [
    *[("start", "Building engine", None, 6), ("start", "Cloning", "Building engine", 2)],
    *[("step", "Cloning", 0), ("step", "Cloning", 1), ("finish", "Cloning")],
    *[("step", "Building engine", number) for number in range(4)],
    *[("start", "Subgraph", "Building engine", 1), ("start", "Costs", "Subgraph", 5)],
    *[("start", "Timing", "Costs", 2), ("step", "Timing", 0), ("step", "Timing", 1), ("finish", "Timing")],
    *[("step", "Costs", number) for number in range(5)],
    *[("finish", "Costs"), ("step", "Subgraph", 0), ("finish", "Subgraph")],
    *[("step", "Building engine", 4), ("finish", "Building engine")],
]


def told(calls: list[tuple]) -> list[str]:
    lines: list[str] = []
    phases = Phases(lines.append)
    for name, *arguments in calls:
        getattr(phases, name)(*arguments)
    return lines


def test_inner_phases_count_as_parts_of_their_step() -> None:
    lines = told(BUILD)
    assert {line.partition(" ")[2] for line in lines} == {"Building engine"}
    percents = [int(line.split()[0]) for line in lines]
    # A sixth for each outer step; of the fifth: half and all of one cost in five, then cost by cost.
    assert percents == [0, 8, 16, 33, 50, 66, 68, 70, 73, 76, 80, 83, 100]


NAMES = st.sampled_from(["a", "b", "c", "d"])
CALLS = st.one_of(
    st.tuples(st.just("start"), NAMES, st.none() | NAMES, st.integers(-1, 5)),
    st.tuples(st.just("step"), NAMES, st.integers(0, 7)),
    st.tuples(st.just("finish"), NAMES),
)


@given(st.lists(CALLS, max_size=30))
def test_whatever_is_reported_the_percent_rises_within_a_phase(calls: list[tuple]) -> None:
    """Names and their order change between versions of TensorRT; nothing of that may end a build."""
    last: dict[str, int] = {}
    lines: list[str] = []
    phases = Phases(lines.append)
    for name, *arguments in calls:
        if name == "start" and arguments[1] is None:
            last.pop(arguments[0], None)
        getattr(phases, name)(*arguments)
        for line in lines:
            percent, _, phase = line.partition(" ")
            assert last.get(phase, -1) < int(percent) <= 100
            last[phase] = int(percent)
        lines.clear()


def builder(tmp_path: Path, monkeypatch, script: str) -> None:
    """Let ``plans.make`` start ``script`` in the builder's place."""
    path = tmp_path / "python"
    path.write_text(f"#!{PYTHON}\nimport os, signal, sys\nplan = sys.argv[4]\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(plans.sys, "executable", str(path))


def test_another_process_sees_a_build_until_it_ends(tmp_path: Path, monkeypatch) -> None:
    folder, seen = tmp_path / "engines", []
    builder(tmp_path, monkeypatch, "print('40 Building\\nwarning: noise', flush=True)\nopen(plan, 'wb')")
    assert build_progress.read(folder) is None, "no folder yet"
    reference = bundles.load(bundles.REFERENCE)
    plans.make(reference, KEY, folder, lambda line: seen.append((line, build_progress.read(folder))))
    assert seen == [(line, Progress("fp32", 40)) for line in ("40 Building", "warning: noise")]
    assert build_progress.read(folder) is None
    builder(tmp_path, monkeypatch, "print('warning: soon', flush=True)\nopen(plan, 'wb')")
    other = replace(KEY, faces=4)
    plans.make(reference, other, folder, lambda line: seen.append((line, build_progress.read(folder))))
    assert seen[-1] == ("warning: soon", None), "an earlier build's figure counts no longer"


def test_what_a_killed_build_wrote_is_no_progress(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time; from edge.engines.tensorrt import build_progress, plans\n"
        "with plans._locked(pathlib.Path(sys.argv[1])) as lock:\n"
        "    build_progress.write(lock, 'int8-trt', '7 Building'); print(flush=True); time.sleep(60)"
    )
    tmp_path.chmod(0o700)
    words = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert build_progress.read(tmp_path) == Progress("int8-trt", 7)
        process.kill()
    assert (tmp_path / "lock").read_bytes().startswith(b"  7 int8-trt")
    assert build_progress.read(tmp_path) is None


@pytest.mark.parametrize(
    "content", [b"", b"x", b" 40 \xff\n", b"400000 fp32\n", b"40 fp32", b" 40 " + b"f" * 99]
)
def test_what_is_no_progress_is_none(tmp_path: Path, content: bytes) -> None:
    tmp_path.chmod(0o700)
    with plans._locked(tmp_path) as lock:
        os.pwrite(lock, content, 0)
        assert build_progress.read(tmp_path) is None
        build_progress.write(lock, "fp32", "warning: 40")
        assert build_progress.read(tmp_path) is None


def test_where_there_is_no_terminal_each_tenth_is_a_line(tmp_path: Path, monkeypatch, capsys) -> None:
    script = "print('\\n'.join(f'{n} Building' for n in range(101)))\nprint('warning: w')\nopen(plan, 'wb')"
    builder(tmp_path, monkeypatch, script)
    command.make_with_progress(bundles.load(bundles.REFERENCE), KEY, tmp_path / "engines")
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"building the fp32 engine: {percent} %" for percent in range(10, 101, 10)]
    assert "warning: w" in err.splitlines()


def test_a_builder_that_is_killed_says_so_and_not_how_far_it_was(tmp_path: Path, monkeypatch) -> None:
    builder(tmp_path, monkeypatch, "print('40 Building', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(EdgeError, match="memory ran out"):
        command.make_with_progress(bundles.load(bundles.REFERENCE), KEY, tmp_path / "engines")


def test_the_real_librarys_calls_fit(tmp_path: Path) -> None:
    """Its bindings name the arguments; a subclass must take them in this order."""
    trt = pytest.importorskip("tensorrt_rtx", reason="no TensorRT-RTX; make judge installs it")
    from edge.engines.tensorrt import builder as builder_module

    lines: list[str] = []
    monitor = builder_module._monitor(trt, lines.append)
    for name in ("phase_start", "step_complete", "phase_finish"):
        ours = getattr(type(monitor), name).__code__
        theirs = getattr(trt.IProgressMonitor, name).__doc__
        assert theirs is not None
        at = [theirs.index(f":arg {argument}:") for argument in ours.co_varnames[1 : ours.co_argcount]]
        assert at == sorted(at), name
        assert theirs.count(":arg ") == ours.co_argcount - 1, name
    plan = builder_module.build(
        bundles.load(bundles.REFERENCE).model("fp32").read_bytes(), "m", 8, 256, None, "8.6", lines.append
    )
    assert plan
    assert lines[0] == "0 Building engine"
    assert lines[-1] == "100 Building engine"
    assert len(lines) > 6, "the phases within count, too"
