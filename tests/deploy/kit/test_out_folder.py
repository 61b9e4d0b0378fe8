"""Whoever kills a run of `kit make`, at whatever moment: a whole kit is there, and the next run cleans up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge.deploy.kit import out_folder
from edge.errors import ConfigError
from edge.system.exchange import exchange

# Makes a "kit" in a child that is killed before its n-th change of a folder, and then once more, whole.
_PROGRAM = """
import json, os, signal, sys
from pathlib import Path
from edge.deploy.kit import out_folder
from edge.system.exchange import exchange

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "ctypes.dlsym", "open"}
swap = exchange if sys.argv[2] == "exchange" else lambda one, other: False
out_folder._LEAST_BYTES = 0
left = -1

def count(event, arguments):
    global left
    if event in CHANGES:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)

def make(out, text):
    with out_folder.beside(out) as part:
        (part / "wheels").mkdir()
        (part / "wheels/half").write_text("x")
        (part / "kit").mkdir()
        for name in ("SHA256SUMS", "README.md"):
            (part / "kit" / name).write_text(text)
        out_folder.put(part / "kit", out, swap)

def seen(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}

found, point, code = [], 0, 1
while code:
    point += 1
    folder = Path(sys.argv[1], str(point))
    folder.mkdir()
    make(folder / "KIT", "old")
    pid = os.fork()
    if not pid:
        left = point
        make(folder / "KIT", "new")
        os._exit(0)
    code = os.waitpid(pid, 0)[1]
    killed = seen(folder)
    make(folder / "KIT", "next")
    found.append([killed, seen(folder)])
print(json.dumps(found))
"""


@pytest.mark.parametrize("way", ["exchange", "two renames"])
def test_a_kill_at_any_point_loses_no_kit(tmp_path: Path, way: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path), way], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) > 15, "so many changes a run makes"
    kits = [{f"KIT/{name}": text for name in ("SHA256SUMS", "README.md")} for text in ("old", "new", "next")]
    gone = []
    for killed, again in found:
        assert again == kits[2], "nothing else is left"
        there = {name: text for name, text in killed.items() if name.startswith("KIT/")}
        if not there:
            gone.append(killed)
        else:
            assert there in kits[:2]
    assert [text for _, text in kits[1].items()] == ["new", "new"]
    if way == "exchange":
        assert gone == []
    else:
        assert [killed[".KIT.part/before/SHA256SUMS"] for killed in gone] == ["old"]


def test_a_kit_that_was_taken_away_is_back_before_the_next_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out_folder, "_LEAST_BYTES", 0)
    before = tmp_path / ".KIT.part/before"
    before.mkdir(parents=True)
    (before / "SHA256SUMS").write_text("old")
    with out_folder.beside(tmp_path / "KIT"):
        assert (tmp_path / "KIT/SHA256SUMS").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["KIT"]


def test_two_runs_for_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_folder, "_LEAST_BYTES", 0)
    with out_folder.beside(tmp_path / "KIT") as part:
        (part / "mine").touch()
        with (
            pytest.raises(ConfigError, match="is being written by another run"),
            out_folder.beside(tmp_path / "KIT"),
        ):
            pass
        assert (part / "mine").exists()
        with out_folder.beside(tmp_path / "OTHER"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_two_folders_change_places_or_stay(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert not exchange(tmp_path / "one", tmp_path / "none")
    if exchange(tmp_path / "one", tmp_path / "other"):
        assert (tmp_path / "one/other").exists()
        assert (tmp_path / "other/one").exists()
