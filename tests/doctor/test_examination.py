"""No fault of a check or of a file ends the examination."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from board_trees import JP6, LINK, PI5, TREES, plant
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.deploy import units
from edge.doctor import examine, machine
from edge.doctor.checks import CHECKS, Check
from edge.doctor.examination import _looked
from edge.doctor.machine import Machine
from edge.system.finding import Finding
from edge.system.json_schema import is_printable

_FILES = sorted({name for tree in TREES.values() for name, content in tree.items() if content != LINK})
_FILES = [name for name in _FILES if not str(PI5.get(name, JP6.get(name, ""))).startswith(LINK)]
DAMAGE = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=300).map(str.encode),
    st.sampled_from([b"", b"\0" * 5000, b"9" * 5000, b"-1", b"nan", b"0x" + b"f" * 400, b"\xff\xfe\n" * 9]),
    st.just(b"x y z 1 kB\n" * 200_000),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changed=st.dictionaries(st.sampled_from(_FILES), DAMAGE, min_size=1, max_size=4), data=st.data())
def test_damaged_files_are_no_error_of_the_doctor(
    changed: dict, data: st.DataObject, tmp_path_factory
) -> None:
    tree = data.draw(st.sampled_from(sorted(TREES)))
    # What would need a file under a name that is a folder or a link in this tree is left out.
    fits = {name: content for name, content in changed.items() if name in TREES[tree]}
    names = [check.name for check in CHECKS if check.name != "bundle"]  # its files are this program's own
    findings = examine(plant(tmp_path_factory.mktemp("tree"), TREES[tree], fits), names=names)
    assert not [f for f in findings if "failed (" in f.text or "did not end" in f.text], fits
    for finding in findings:
        assert is_printable(finding.text)
        assert is_printable(finding.fix)


def test_a_check_that_raises_is_a_finding() -> None:
    def look(machine: Machine) -> list[Finding]:
        raise RuntimeError("two\nlines")

    (found,) = _looked(Check("x", look, "it"), Machine(), quick=False)
    assert (found.level, found.text) == ("warning", "the look at it failed (RuntimeError: two)")
    assert found.fix


def test_a_check_that_hangs_is_a_finding() -> None:
    end = threading.Event()

    def look(machine: Machine) -> list[Finding]:
        end.wait(20)
        return []

    began = time.monotonic()
    (found,) = _looked(Check("x", look, "it", patience_s=0.1), Machine(), quick=False)
    end.set()
    assert time.monotonic() - began < 5
    assert (found.level, found.text) == ("warning", "the look at it did not end within 0.1 s")


def test_quick_checks_run_no_program_and_open_no_camera() -> None:
    slow = {check.name for check in CHECKS if not check.quick}
    assert {"camera", "libraries", "gpu", "tensorrt", "service"} <= slow
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_links_of_a_tree_lead_nowhere_outside(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("of the laptop")
    root = plant(
        tmp_path / "root",
        {
            "inside": "of the board", "a": f"{LINK}/inside", "b/c": f"{LINK}../../../../inside",
            "loop": f"{LINK}loop", "out": f"{LINK}{tmp_path}/outside", "up": f"{LINK}../outside",
        },
    )  # fmt: skip
    tree = Machine(root)
    assert [tree.text(name) for name in ("inside", "a", "b/c")] == ["of the board"] * 3
    assert [tree.text(name) for name in ("loop", "out", "up", "none", "")] == [""] * 5


def test_a_pipe_in_a_tree_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    os.mkfifo(tmp_path / "proc/meminfo")
    began = time.monotonic()
    (found,) = examine(tmp_path, names=["memory"])
    assert found.level == "note"
    assert time.monotonic() - began < 1


def test_a_package_that_was_removed_is_not_there(tmp_path: Path) -> None:
    rows = [("a", "deinstall ok config-files", 1), ("b", "install ok installed", 2)]
    status = "\n".join(
        f"Package: {name}\nStatus: {state}\nVersion: {version}\n" for name, state, version in rows
    )
    tree = Machine(plant(tmp_path, {"var/lib/dpkg/status": status}))
    assert [tree.package(name) for name in "abc"] == ["", "2", ""]


def test_the_name_of_the_service_is_that_of_its_unit() -> None:
    assert machine.SERVICE == units.SERVICE


@pytest.mark.parametrize("name", ["cv2", "numpy"])
def test_a_broken_library_leaves_the_other_checks(name: str, tmp_path: Path) -> None:
    """The doctor starts where every other command ends at once."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise ImportError('libbroken.so: cannot open')\n")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "edge", "doctor"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{root}"},
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"{name} cannot be imported (ImportError: libbroken.so: cannot open)" in " ".join(
        done.stdout.split()
    )
    assert "memory" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
