"""`kit install` that is killed at each of its steps, on the laptop and on the board, and run again."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from kit_board import Board

from edge.deploy.kit import installing
from edge.deploy.kit.packaged import KITS

pytestmark = [pytest.mark.boards, pytest.mark.slow]

SECRET = "pl4nted-s3cret"
CALLS = 5  # of ssh: ask, copy, verify, install, wait
# Plays ssh, and kills the laptop's program at its n-th call: before the board hears of it, or as it begins.
_SSH = """#!/bin/sh
case "$*" in *"-O exit"*) exec {ssh} "$@" ;; esac
echo >>{count}
if [ "$(wc -l <{count})" = {call} ]; then
    kill -KILL $PPID
    [ {moment} = before ] && exit 255
fi
exec {ssh} "$@"
"""


def kits(board: Board) -> list[str]:
    """What is kept on the board."""
    return sorted(board.machine.run("ls", "-A", KITS).split())


def assert_installed(board: Board, version: str, names: set[str]) -> None:
    """That version is there, whole, and nothing is left of how it came."""
    assert board.version() == f"ii {version}"
    assert f"serves {version}" in board.status()
    assert set(kits(board)) == {"current.deb", "install.log", "lock", *names}
    assert "firstboot" not in board.machine.run("find", "/etc/systemd/system", "-name", "*firstboot*")
    assert "allowed_signers" in board.machine.run("ls", "/etc/emotion-edge")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", range(1, CALLS + 1))
def test_the_laptop_is_killed_at_a_call(board: Board, tmp_path: Path, call: int, moment: str) -> None:
    board.machine.run("dpkg", "--purge", "emotion-edge")
    text = _SSH.format(ssh=board.bin / "ssh", count=tmp_path / "count", call=call, moment=moment)
    (tmp_path / "ssh").write_text(text)
    (tmp_path / "ssh").chmod(0o755)
    environment = board.environment() | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = board.command(board.kits["1.1"])
    killed = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    code, out, fault = board.install(board.kits["1.1"])
    assert (code, "ready: serves 1.1" in out) == (0, True), fault
    assert_installed(board, "1.1", set())


def killed_scripts(first: str, last: str) -> list[bytes]:
    """board.sh, killed before each of its lines from the function ``first`` to the function ``last``."""
    lines = installing.script("board.sh").decode().splitlines(keepends=True)
    begin, end = (
        next(at for at, line in enumerate(lines) if line.startswith(f"{name}() {{")) for name in (first, last)
    )
    while lines[end] != "}\n":
        end += 1
    scripts = []
    for at in range(begin + 1, end + 1):
        if (
            lines[at].strip() in ("", "}")
            or lines[at].lstrip().startswith("#")
            or lines[at - 1].endswith("\\\n")
        ):
            continue
        text = "".join([*lines[:at], "kill -KILL $$\n", *lines[at:]])
        if not subprocess.run(["sh", "-n"], input=text.encode(), capture_output=True).returncode:
            scripts.append(text.encode())
    return scripts


def killed_on_the_board(board: Board, script: bytes, action: str, secrets: dict[str, bytes]) -> bool:
    """Run a script as `kit install` does once all is copied; whether it was killed."""
    kit = installing.Kit.of(board.kits["1.1"])
    root = Path(f"/proc/{board.machine.pid}/root")
    board.machine.run("install", "-d", "-m", "700", f"{KITS}/incoming", f"{KITS}/secrets/etc")
    files = {f"incoming/{file.path}": file.data for file in kit.files()}
    files |= {f"incoming/{kit.deb.name}": kit.deb.read_bytes(), "incoming/board.sh": script}
    for path, data in (files | secrets).items():
        board.machine.run("mkdir", "-p", os.path.dirname(f"{KITS}/{path}"))
        (root / KITS[1:] / path).write_bytes(data)
    said = board.machine.run("sh", "-c", f"sh {KITS}/incoming/board.sh {action}; echo code $?")
    return f"code {128 + signal.SIGKILL}\n" in said


def test_the_board_is_killed_before_each_line_of_an_installation(board: Board, tmp_path: Path) -> None:
    place = "etc/emotion-edge/credentials/camera"
    (tmp_path / "secrets.toml").touch(0o600)
    (tmp_path / "secrets.toml").write_text(f'[credentials]\ncamera = "{SECRET}"\n')
    kills = 0
    for script in killed_scripts("put_secrets", "install_kit"):
        board.machine.run("dpkg", "--purge", "emotion-edge")
        if not killed_on_the_board(board, script, "install", {f"secrets/{place}": SECRET.encode()}):
            continue
        kills += 1
        code, out, fault = board.install(board.kits["1.1"], "--secrets", tmp_path / "secrets.toml")
        assert (code, "ready: serves 1.1 with camera" in out) == (0, True), fault
        assert_installed(board, "1.1", set())
        assert board.machine.run("cat", f"/{place}") == SECRET
    print(f"killed {kills} times")
    assert kills > 20


def test_the_board_is_killed_before_each_line_of_a_rollback(board: Board) -> None:
    board.machine.run("dpkg", "--purge", "emotion-edge")
    there, before = "1.1", "1.0"
    for version in (before, there):
        assert board.install(board.kits[version])[0] == 0
    kills = 0
    for script in killed_scripts("bring", "bring") + killed_scripts("rollback", "rollback"):
        if not killed_on_the_board(board, script, "rollback", {}):
            board.install("--rollback")  # it ends what was not killed
            there, before = before, there
            continue
        kills += 1
        code, out, fault = board.install("--rollback")
        assert (code, f"ready: serves {before}" in out) == (0, True), fault
        assert_installed(board, before, {"previous.deb"})
        there, before = before, there
    print(f"killed {kills} times")
    assert kills >= 8
