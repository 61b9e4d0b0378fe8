"""The kit that ships, not one that plays it: from a laptop into a booted Debian 13 that has no network."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import kits
import pytest
from kit_board import Board

from edge.version import __version__

pytestmark = [pytest.mark.boards, pytest.mark.slow]

OLD, NEW = f"{__version__}-1", f"{__version__}-2"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two versions; the second starts slower, since it is made without bytecode, and is made faster."""
    made = {}
    for version, options in ((OLD, ()), (NEW, ("--revision", "2", "--no-bytecode"))):
        folder = tmp_path_factory.mktemp("real")
        made[version] = kits.make("debian-amd64", folder, "/dev/video0", *options).parent
    return made


def assert_serves(board: Board, version: str, done: tuple[int, str, str]) -> None:
    """That version is whole, its service is ready without a camera, and the doctor has looked at it."""
    code, out, fault = done
    assert code == 0, fault
    line, *findings = out.splitlines()
    assert line.startswith("ready: ")
    assert "fp32 on ONNX Runtime" in line
    assert any(row.startswith("ok       bundle     reference ") for row in findings), out
    assert any(row.startswith("fault    camera     camera /dev/video0 does not exist") for row in findings)
    assert board.version() == f"ii {version}"
    assert board.machine.run("dpkg", "--verify", "emotion-edge") == ""
    assert board.machine.show("ActiveState") == "active"
    home = "/usr/lib/emotion-edge"
    written = board.machine.run("find", home, "-type", "f", "-newer", f"{home}/pyvenv.cfg")
    assert written == "", "by a run: the package's files are all of the release's day"


def test_a_real_kit_is_installed_replaced_and_brought_back(board: Board, real: dict[str, Path]) -> None:
    machine = board.machine
    assert "eth" not in machine.run("cat", "/proc/net/dev"), "a board without a network"
    assert_serves(board, OLD, board.install(real[OLD]))
    program = machine.run("readlink", f"/proc/{machine.main_pid()}/exe").strip()
    assert program == machine.run("readlink", "-f", "/usr/lib/emotion-edge/bin/python3").strip()
    assert_serves(board, NEW, board.install(real[NEW]))
    code, _, fault = board.install(real[OLD])
    assert (code, f"has version {NEW}, the kit is {OLD}, which is older; add --downgrade" in fault) == (
        2,
        True,
    )
    assert_serves(board, OLD, board.install("--rollback"))
    machine.run("dpkg", "--remove", "emotion-edge")
    assert machine.run("find", "/usr/lib/emotion-edge") != "", "said by find: it is not there"
    assert_serves(board, NEW, board.install("--rollback"))
    machine.run("dpkg", "--purge", "emotion-edge")
    found = machine.run("find", "/etc", "/var/lib", "/var/cache", "/usr", "-name", "*emotion-edge*")
    assert [line for line in found.split() if "/dpkg/" not in line] == []


def test_ctrl_c_while_dpkg_unpacks_and_the_same_command_again(board: Board, real: dict[str, Path]) -> None:
    board.machine.run("dpkg", "--purge", "emotion-edge")
    running = subprocess.Popen(
        board.command(real[OLD]), env=board.environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stderr is not None
    while "installing" not in running.stderr.readline():
        assert running.poll() is None
    while "i" not in board.version()[:2]:  # dpkg has begun
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "interrupted; the board finishes by itself, or run the same command again" in said
    assert_serves(board, OLD, board.install(real[OLD]))
