"""``emotion-edge kit make`` that cannot end well: one line says why, and nothing is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import kits_made
import pytest
from kits_made import SETTINGS

from edge.bundle import REFERENCE
from edge.deploy.kit import making, out_folder, settings
from edge.errors import EdgeError
from edge.system.steps import Steps

pytestmark = pytest.mark.skipif(
    not (shutil.which("dpkg-deb") and shutil.which("ssh-keygen")), reason="needs dpkg-deb and ssh-keygen"
)
pytest.importorskip("cyclonedx_py", reason="needs the extra kit")
OTHER = next(name for name, python in (("pi-bookworm", "3.11"), ("pi-trixie", "3.13"))
             if python != kits_made.VERSION)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with settings and wheels."""
    return kits_made.filled(tmp_path)


def written(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "kiosk.toml").write_text(text)


def altered(folder: Path) -> None:
    """A bundle with one byte more than its manifest knows."""
    shutil.copytree(REFERENCE, folder / "mine")
    with (folder / "mine/model.fp32.onnx").open("ab") as model:
        model.write(b"x")
    (folder / "kiosk.toml").write_text(SETTINGS + f'[bundle]\npath = "{folder / "mine"}"\n')


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (written("[source]\naddres = 1\n"), (), "addres"),
        (written("[detector]\nkind = 'haar'\n"), (), "source"),
        (written(SETTINGS.replace("haar", "har")), (), "detector.kind is 'har', expected one of auto, "),
        (written(SETTINGS + "[engine]\nkind = 'gpu'\n"), (), "engine.kind is 'gpu', expected one of auto, "),
        (written(SETTINGS + "[bundle]\nprecision = 'int9'\n"), (), "int9"),
        (written("[source]\naddress = 'csi://0'\n"), (), "--target jetson-jp6 or jetson-jp7"),
        (written("[source]\naddress = 'rtsp://me:hunter2@there/1'\n"), (), "credentials.camera"),
        (lambda f: next((f / "wheels").glob("onnx*")).unlink(), (), "--only-binary=:all: --no-deps"),
        (lambda f: None, ("--target", "toaster"), "expected one of jetson-jp6"),
        (lambda f: None, ("--bundle", "/nowhere"), "/nowhere"),
        (altered, (), "model.fp32.onnx does not match its manifest"),
        (lambda f: None, ("--revision", "; rm"), "--revision"),
        (lambda f: None, ("--key", "/nowhere"), "ssh-keygen -t ed25519"),
        (lambda f: (f / "key.pub").touch(), ("--key", "key.pub"), "the public half"),
        (lambda f: None, ("--add-wheel", "/nowhere.txt"), "--add-wheel"),
        (lambda f: None, ("--compile-with", "/bin/false"), "no CPython 3.13"),
    ],
    ids=[
        "key", "source", "detector", "engine", "precision", "camera", "password", "wheel", "target", "bundle",
        "hash", "revision", "signer", "public", "added", "compiler",
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_line_and_nothing_stays(folder: Path, change, options, said: str) -> None:
    change(folder)
    options = [str(folder / word) if word.endswith(".pub") else word for word in options]
    before = sorted(folder.rglob("*"))
    line = kits_made.refused(kits_made.make(folder, *options))
    assert said in line
    assert "hunter2" not in line
    assert sorted(folder.rglob("*")) == before


def test_weights_for_research_must_be_accepted(folder: Path) -> None:
    done = subprocess.run(kits_made.words(folder), cwd=kits_made.ROOT, capture_output=True, text=True)
    assert "--accept-research-weights" in kits_made.refused(done)


def test_without_the_python_of_the_board_it_is_said_how_to_get_it(folder: Path) -> None:
    words = [word for word in kits_made.words(folder) if word != "--no-bytecode"]
    command = [*words, "--target", OTHER, "--accept-research-weights"]
    programs = folder / "programs"
    programs.mkdir()
    (programs / "dpkg-deb").symlink_to(shutil.which("dpkg-deb") or "")
    environment = {**os.environ, "PATH": str(programs), "PYENV_ROOT": "/nowhere"}
    done = subprocess.run(command, cwd=kits_made.ROOT, capture_output=True, text=True, env=environment)
    line = kits_made.refused(done)
    assert "no CPython 3.1" in line
    assert "--compile-with" in line
    assert "pyenv install 3.1" in line


def test_a_missing_program_is_said_before_any_work(folder: Path) -> None:
    done = kits_made.make(folder, env={**os.environ, "PATH": "/nowhere"})
    assert "dpkg-deb is not there; install it" in kits_made.refused(done)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("moment", ["fetching", "unpacking", "listing"])
def test_ctrl_c_leaves_nothing(folder: Path, moment: str) -> None:
    command = kits_made.words(folder, "--accept-research-weights")
    running = subprocess.Popen(command, cwd=kits_made.ROOT, stderr=subprocess.PIPE, text=True)
    while moment not in running.stderr.readline():
        assert running.poll() is None
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    interrupted(running, folder)


@pytest.mark.parametrize("number", ["INT", "TERM"])
def test_a_stop_while_dpkg_deb_runs_leaves_nothing(folder: Path, number: str) -> None:
    programs = folder.with_name(f"{folder.name}-programs")
    programs.mkdir()
    stand_in = programs / "dpkg-deb"
    stand_in.write_text(f"#!/bin/sh\nkill -{number} $PPID\nexec sleep 30\n")
    stand_in.chmod(0o755)
    command = kits_made.words(folder, "--accept-research-weights")
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    running = subprocess.Popen(
        command, cwd=kits_made.ROOT, stderr=subprocess.PIPE, text=True, env=environment
    )
    interrupted(running, folder)


def test_what_a_killed_run_leaves_is_taken_away_by_the_next(folder: Path) -> None:
    programs = folder.with_name(f"{folder.name}-programs")
    programs.mkdir()
    (programs / "dpkg-deb").write_text("#!/bin/sh\nkill -KILL $PPID\n")
    (programs / "dpkg-deb").chmod(0o755)
    killed = kits_made.make(folder, env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"})
    assert killed.returncode == -signal.SIGKILL
    assert (folder / ".KIT.part/root").is_dir()
    assert "bundle" in kits_made.refused(kits_made.make(folder, "--bundle", "/nowhere"))
    assert sorted(path.name for path in folder.iterdir()) == ["kiosk.toml", "wheels"]


def interrupted(running: subprocess.Popen[str], folder: Path) -> None:
    """It ends soon, without a word of Python's, and without a trace."""
    _, said = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "Traceback" not in said
    assert sorted(path.name for path in folder.iterdir()) == ["kiosk.toml", "wheels"]


@contextmanager
def disk(where: Path, options: str) -> Iterator[Path]:
    """A small disk."""
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        yield where
    finally:
        subprocess.run(["umount", str(where)], check=True)


def test_a_disk_that_is_small_or_cannot_be_written_is_said(folder: Path) -> None:
    with disk(folder / "small", "size=8m") as small:
        line = kits_made.refused(kits_made.make(folder, out="small/KIT"))
        assert "8 MB free" in line
        assert list(small.iterdir()) == []
    shutil.rmtree(folder / "small")
    with disk(folder / "fixed", "ro,size=2g") as fixed:
        line = kits_made.refused(kits_made.make(folder, out="fixed/KIT"))
        assert f"{fixed} cannot be written (Read-only file system); name another" in line


@pytest.mark.parametrize("size", ["40k", "3m", "14m", "19m"])
def test_a_disk_that_becomes_full_is_said(folder: Path, size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_folder, "_LEAST_BYTES", 0)
    with disk(folder / "small", f"size={size}") as small:
        order = making.Order(
            kits_made.TARGET, folder / "kiosk.toml", small / "KIT", wheels=folder / "wheels", accepted=True,
            bytecode=False,
        )  # fmt: skip
        with pytest.raises(EdgeError) as raised, Steps("test") as steps:
            making.make(order, steps)
        assert f"No space left on device in {small}; free some, or name a folder" in str(raised.value)
        assert "\n" not in str(raised.value)
        assert list(small.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said(folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    folder.chmod(0o500)
    try:
        assert f"{folder} cannot be written (Permission denied)" in kits_made.refused(kits_made.make(folder))
    finally:
        folder.chmod(0o700)


def test_settings_are_those_of_the_board(folder: Path) -> None:
    text = SETTINGS + "[decision]\nmin_face_px = 32\n[budget]\ncelsius = 75.5\n"
    (folder / "kiosk.toml").write_text(text)
    reader = settings.read(folder / "kiosk.toml")
    (folder / "board.toml").write_text(settings.text(reader, "/board/yunet.onnx", "/board/bundle"))
    again = settings.read(folder / "board.toml").config
    assert (again.decision, again.budget, again.output.sinks) == (
        reader.config.decision, reader.config.budget, {"jsonl": {"path": "estimates.jsonl"}}
    )  # fmt: skip
    assert (again.detector.model, again.bundle.path) == ("/board/yunet.onnx", "/board/bundle")
