"""The first-boot script on every state that dpkg can leave a package in, with the real dpkg in a folder."""

from __future__ import annotations

import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
import small_deb
from small_deb import CONTROL, TREE

SCRIPT = str(files("edge.deploy.kit") / "firstboot.sh")
pytestmark = pytest.mark.skipif(bool(small_deb.why_not()), reason=small_deb.why_not())
_FILES = {f"{TREE}/pyvenv.cfg": "home = /usr/bin\n", f"{TREE}/firstboot": "#!/bin/sh\n"}


class Board(small_deb.Root):
    """A root folder in which the package is installed, and whose kit is kept."""

    def __init__(self, folder: Path, deb: Path) -> None:
        super().__init__(folder / "root", deb)
        self.kits = self.path / "var/lib/emotion-edge-kits"
        self.kits.mkdir(mode=0o700)
        shutil.copy(deb, self.kits / "current.deb")

    def left(self, state: str) -> None:
        """As a power cut leaves it: "install ok unpacked"."""
        text = self.status.read_text()
        assert "Status: install ok installed" in text
        text = text.replace("Status: install ok installed", f"Status: {state}")
        if state.split()[2] in ("unpacked", "half-configured", "half-installed"):
            text = text.replace("Version: 1.0\n", "Version: 1.0\nConfig-Version: 1.0\n")
        self.status.write_text(text)

    def boots(self) -> tuple[int, str]:
        done = subprocess.run(
            ["sh", SCRIPT, "finish"], env=self.environment, capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout

    @property
    def state(self) -> str:
        words = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", "emotion-edge"]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True)
        return done.stdout.strip() or "un"

    def has(self, name: str) -> bool:
        return (self.path / name).exists()


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_deb.build(tmp_path_factory.mktemp("deb"), _FILES)


@pytest.fixture
def board(tmp_path: Path, deb: Path) -> Board:
    return Board(tmp_path, deb)


@pytest.mark.parametrize(
    ("state", "damage", "words"),
    [
        ("install ok unpacked", False, "configuring what is unpacked"),
        ("hold ok unpacked", False, "configuring what is unpacked"),
        ("install ok half-configured", False, "configuring what is unpacked"),
        ("install ok half-installed", True, "unpacking"),
        ("install reinstreq half-installed", True, "unpacking"),
        ("install reinstreq unpacked", True, "unpacking"),
        ("install reinstreq half-configured", True, "unpacking"),
    ],
)
def test_what_was_interrupted_is_finished(board: Board, state: str, damage: bool, words: str) -> None:
    board.left(state)
    if damage:
        (board.path / TREE / "pyvenv.cfg").unlink()
    code, told = board.boots()
    assert (code, board.state[1:]) == (0, "i"), told
    assert words in told
    assert "version 1.0 is installed" in told
    assert board.has(f"{TREE}/pyvenv.cfg")
    assert board.boots() == (0, ""), "nothing is left to do"


@pytest.mark.parametrize(
    ("state", "after", "settings"),
    [
        ("deinstall ok half-configured", "rc", True),
        ("deinstall reinstreq half-installed", "rc", True),
        ("deinstall ok unpacked", "rc", True),
        ("purge ok half-configured", "un", False),
        ("purge reinstreq half-installed", "un", False),
    ],
)
def test_a_removal_that_somebody_began_is_finished(
    board: Board, state: str, after: str, settings: bool
) -> None:
    board.left(state)
    code, told = board.boots()
    assert (code, board.state) == (0, after), told
    assert "finishing its removal" in told
    assert not board.has(TREE)
    assert board.has("etc/emotion-edge.toml") is settings


def test_what_was_removed_stays_removed(board: Board) -> None:
    board.dpkg("--remove", "emotion-edge")
    code, told = board.boots()
    assert (code, board.state) == (0, "rc")
    assert "was removed" in told


@pytest.mark.parametrize("wish", ["deinstall", "purge"])
def test_what_is_only_marked_for_removal_runs_until_then(board: Board, wish: str) -> None:
    board.left(f"{wish} ok installed")
    code, told = board.boots()
    assert (code, board.state[1]) == (0, "i"), told
    assert board.has(f"{TREE}/pyvenv.cfg")


def test_a_package_that_was_never_there_is_said(board: Board) -> None:
    board.dpkg("--purge", "emotion-edge")
    board.status.write_text(CONTROL.replace("emotion-edge", "another"))
    code, told = board.boots()
    assert code == 1
    assert "is not installed" in told


def test_damaged_files_without_a_kit_are_said_with_the_fix(board: Board) -> None:
    board.left("install reinstreq half-installed")
    (board.kits / "current.deb").unlink()
    code, told = board.boots()
    assert code == 1
    assert "no kit is kept" in told
    assert "emotion-edge kit install" in told


def test_a_volatile_state_has_no_records_and_a_whole_tree(board: Board) -> None:
    """systemd.volatile=state mounts an empty /var over that of the disk."""
    shutil.rmtree(board.path / "var")
    code, told = board.boots()
    assert (code, "the files are whole" in told) == (0, True), told
    assert not board.status.exists(), "dpkg was not asked"
    for name in ("site.py.dpkg-new", "pyvenv.cfg.dpkg-tmp"):
        left = board.path / TREE / name
        left.touch()
        code, told = board.boots()
        assert (code, "not whole" in told) == (1, True), told
        left.unlink()
    shutil.rmtree(board.path / TREE)
    assert board.boots()[0] == 1
