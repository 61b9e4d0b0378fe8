"""Mutants of whole bundles: always the same, and a few of them judged; ``make test-mutants`` runs more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import bundle_mutants, judge
from fuzz.forked import Ended
from fuzz.wire import parse, write

from edge.bundle import REFERENCE
from edge.system.hashing import sha256

ROOT = Path(__file__).parents[2]
PATHS = "import sys; sys.path[:0] = ['tests', 'tests/helpers'];"
SCRIPT = ROOT / "tests/fuzz/mutants.py"


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The bundles, made in a process of its own, since ONNX Runtime starts threads."""
    folder = tmp_path_factory.mktemp("originals")
    code = f"{PATHS} from fuzz import bundles; from pathlib import Path; bundles.make_all(Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=True)
    return {name: folder / name for name in bundle_mutants.SHARES}


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in sorted(folder.iterdir()) if bundle_mutants.is_small(path)
    }


def test_a_number_is_always_the_same_mutant(originals: dict[str, Path], tmp_path: Path) -> None:
    before = {name: _contents(path) for name, path in originals.items()}
    for number in range(20):
        folders = [tmp_path / f"{number}-{at}" for at in range(2)]
        one, two = (bundle_mutants.make(number, 24, originals, folder) for folder in folders)
        assert one == two
        assert _contents(folders[0]) == _contents(folders[1])
    assert {name: _contents(path) for name, path in originals.items()} == before, "an original was changed"


def test_hashes_are_right_where_a_file_was_changed(originals: dict[str, Path], tmp_path: Path) -> None:
    """A mutant that stops at a hash has tested nothing."""
    right = 0
    for number in range(60):
        folder = tmp_path / str(number)
        mutant = bundle_mutants.make(number, 24, originals, folder)
        if {change.partition(":")[0] for change in mutant.changes} <= {"graph", "golden", "swap", "splice"}:
            files = json.loads((folder / "manifest.json").read_text())["files"]
            assert all(sha256(folder / entry["path"]) == entry["sha256"] for entry in files.values()), mutant
            right += 1
    assert right > 10


@pytest.mark.parametrize("path", sorted(REFERENCE.glob("*.onnx")), ids=lambda path: path.name)
def test_networks_are_written_as_they_were_read(path: Path) -> None:
    content = path.read_bytes()
    assert write(parse(content)) == content


@pytest.mark.parametrize(
    ("ended", "fault"),
    [
        (Ended(2, "emotion-edge: error: no\n", 1.0, 90), ""),
        (Ended(2, "", 1.0, 90), "0 lines of errors"),
        (Ended(2, "emotion-edge: error: no\nemotion-edge: error: no\n", 1.0, 90), "2 lines of errors"),
        (Ended(2, "Traceback\nemotion-edge: error: no\n", 1.0, 90), "a line that nobody asked for"),
        (Ended(1, "Traceback\n", 1.0, 90), "exit code 1"),
        (Ended(-11, "", 1.0, 90), "exit code -11"),
        (Ended(None, "", 10.0, 90), "still running"),
        (Ended(2, "emotion-edge: error: no\n", 1.0, 301), "301 MB"),
    ],
)
def test_the_judge_can_say_no(ended: Ended, fault: str, tmp_path: Path) -> None:
    mutant = bundle_mutants.Mutant(0, "tiny", ("none",), "fp32")
    judged = judge.Judge(tmp_path, tmp_path)._judged(mutant, tmp_path, ended)
    assert fault in judged.fault
    assert bool(judged.fault) == bool(fault)


def test_a_served_network_whose_outputs_differ_is_found(originals: dict[str, Path], tmp_path: Path) -> None:
    """And one whose outputs are right is not."""
    folder = originals["recurrent"]
    mutant = bundle_mutants.Mutant(0, "recurrent", ("none",), "fp32")
    code = (
        f"{PATHS} from fuzz import judge, bundle_mutants; "
        "from pathlib import Path; f = Path(sys.argv[1]); "
        f"print(list(judge._golden(bundle_mutants.{mutant!r}, f)))"
    )

    def told(path: Path) -> str:
        command = [sys.executable, "-c", code, str(path)]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert told(folder) == "[]\n"
    from fuzz import bundles

    bundles.copy(folder, tmp_path / "b")
    (tmp_path / "b" / "model.fp32.onnx").unlink()
    (tmp_path / "b" / "model.fp32.onnx").write_bytes((originals["tiny"] / "model.fp32.onnx").read_bytes())
    bundles.right(tmp_path / "b", json.loads((tmp_path / "b" / "manifest.json").read_text()))
    assert "not the golden ones" in told(tmp_path / "b")


def test_a_few_mutants(tmp_path: Path) -> None:
    """By the script, with its state: a second call has nothing to do."""
    command = [
        sys.executable,
        str(SCRIPT),
        "--count",
        "12",
        "--jobs",
        "1",
        "--state",
        str(tmp_path / "state.json"),
    ]
    first = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "12 mutants" in first.stdout
    second = subprocess.run([*command, "--hours", "0"], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert "12 mutants" in second.stdout, second.stdout + second.stderr
