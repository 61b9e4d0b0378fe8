"""What ssh says becomes one line with the fix; what is wrong is found before anything is copied."""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.cli import kit_install
from edge.deploy.kit.remote import Remote
from edge.errors import ConfigError, DependencyError, EdgeError

# Plays ssh: answers the probe, and fails as $FAULT says where a command is given.
_SSH = """\
#!/bin/sh
for word do last=$word; done
case "$*" in *'-O exit'*) exit 0 ;; esac
echo "$last" >>"{log}"
case $last in
    *'sh -s'*) cat >/dev/null; cat "{folder}/probe" ;;
    *) cat >/dev/null; cat "{folder}/fault" >&2; exit "$(cat "{folder}/code")" ;;
esac
"""
_PROBE = "arch=arm64\nuid=0\nfree_kb=9000000\nsudo=free\n"


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ssh").write_text(_SSH.format(folder=folder, log=folder / "log"))
    (folder / "ssh").chmod(0o755)
    for name, text in (("probe", _PROBE), ("fault", ""), ("code", "0"), ("log", "")):
        (folder / name).write_text(text)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    folder = tmp_path / "kit"
    folder.mkdir()
    deb = folder / "emotion-edge_1.2_arm64.deb"
    deb.write_bytes(b"x" * 1_000_000)
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(deb.read_bytes()).hexdigest()}  {deb.name}\n")
    return folder


def command(*words: object) -> None:
    parser = argparse.ArgumentParser()
    kit_install.add_options(parser)
    kit_install.run(parser.parse_args(list(map(str, words))))


@pytest.mark.parametrize(
    ("code", "told", "said"),
    [
        (255, "ssh: connect to host b port 22: Connection refused", "runs no ssh server; .* openssh-server"),
        (255, "ssh: connect to host b port 22: Connection timed out", "does not answer"),
        (255, "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
         "another host key .* ssh-keygen -R b"),
        (255, "Host key verification failed.", "is not known here; connect once by hand: ssh me@b"),
        (255, "me@b: Permission denied (publickey).", "ssh-copy-id me@b"),
        (255, "Connection to b closed by remote host.", "closed by remote host.; run the same command again"),
        (2, "tar: x.deb: Cannot write: No space left on device\ntar: Exiting", "no space left; free some"),
        (2, "tar: x.deb: Wrote only 2048 of 10240 bytes\ntar: Exiting", "no space left; free some"),
        (3, "noise\nrefused: the kit is for arm64, this board is amd64\n", "^b: the kit is for arm64, this"),
        (1, "", "^b: exit code 1"),
    ],
)  # fmt: skip
def test_a_fault_is_one_line_with_its_fix(board: Path, kit: Path, code: int, told: str, said: str) -> None:
    (board / "fault").write_text(told)
    (board / "code").write_text(str(code))
    with pytest.raises(EdgeError, match=said) as refused:
        command(kit, "--host", "me@b")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        (_PROBE.replace("arm64", "amd64"), "b is amd64, the kit is for arm64"),
        (_PROBE.replace("9000000", "900"), "1 MB free, 6 MB are needed"),
        (_PROBE + "older=yes\ninstalled=1.3\n", "has version 1.3, the kit is 1.2, .* add --downgrade"),
        (_PROBE + "readonly=yes\n", "read-only; .* sudo mount -o remount,rw /"),
        (_PROBE + "missing=ssh-keygen\n", "sudo apt install openssh-client"),
        (_PROBE.replace("uid=0", "uid=1000").replace("free\n", "password\n"), "asks for a password"),
        (_PROBE.replace("uid=0", "uid=1000").replace("free\n", "none\n"), "no sudo"),
        ("welcome to this board\n", "no dpkg"),
    ],
)
def test_nothing_is_copied_to_a_board_that_cannot_take_it(
    board: Path, kit: Path, probe: str, said: str
) -> None:
    (board / "probe").write_text(probe)
    with pytest.raises(EdgeError, match=said):
        command(kit, "--host", "me@b")
    assert len((board / "log").read_text().splitlines()) == 1


def test_what_is_wrong_here_is_said_without_a_connection(board: Path, kit: Path, tmp_path: Path) -> None:
    for words, said in (
        ([kit, "--rollback"], "takes no kit"),
        ([], "no kit was given"),
        ([tmp_path], "holds 0 packages"),
        ([tmp_path / "none"], "cannot be read"),
        ([kit, "--secrets", tmp_path / "none"], "cannot be read"),
    ):
        with pytest.raises(ConfigError, match=said):
            command(*words, "--host", "me@b")
    (kit / "emotion-edge_1.2_arm64.deb").write_bytes(b"y")
    with pytest.raises(ConfigError, match="not the one of SHA256SUMS"):
        command(kit, "--host", "me@b")
    for login in ("-oProxyCommand=x", "", " b"):
        with pytest.raises(ConfigError, match="expected USER@HOST"):
            Remote(login)
    assert (board / "log").read_text() == ""


@pytest.mark.parametrize(
    ("call", "left"),
    [
        ("sh -s", "nothing was changed"),
        ("tar -x", "the board is as it was; run the same command again"),
        ("board.sh install", "the board finishes by itself, or run the same command again"),
    ],
)
def test_ctrl_c_says_how_the_board_is_left(board: Path, kit: Path, call: str, left: str) -> None:
    """At once, even where the connection stands still."""
    script = (
        (board / "ssh")
        .read_text()
        .replace(
            "case $last in",
            f"""case $last in
    *'{call}'*) kill -INT $PPID; exec sleep 30 ;;  # it reads nothing""",
        )
    )
    (board / "ssh").write_text(script)
    program = "from edge.system.command import finish; import sys; from test_remote import command; sys.exit("
    program += f"finish('x', lambda: command({str(kit)!r}, '--host', 'me@b'), 'nothing was changed'))"
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[3])])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=15, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert done.stderr.endswith(f"x: interrupted; {left}\n")
    assert "Traceback" not in done.stderr


def test_without_ssh_on_this_machine(board: Path, kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DependencyError, match=r"ssh cannot be run .*; install openssh-client"):
        command(kit, "--host", "me@b")


def test_a_password_for_sudo_goes_through_the_pipe_alone(board: Path) -> None:
    with Remote("me@b", ask=lambda prompt: "h1dden") as remote:
        remote.become_root("1000", "password")
        remote.root("id")
    log = (board / "log").read_text()
    assert "sudo -k -S" in log
    assert "h1dden" not in log


def test_a_dry_run_tells_each_file_and_command_and_connects_to_nothing(
    board: Path, kit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = tmp_path / "s.toml"
    secrets.touch(0o600)
    secrets.write_text('[credentials]\ncamera = "pl4nted"\n[user]\nname = "k"\npassword_hash = "!"\n')
    command(kit, "--host", "me@b", "--secrets", secrets, "--dry-run")
    out = capsys.readouterr().out
    assert "0600 root:root /etc/emotion-edge/credentials/camera\n" in out
    assert "0600 root:root /var/lib/emotion-edge-kits/incoming/emotion-edge_1.2_arm64.deb\n" in out
    assert out.count("$ ssh me@b") == 6
    assert "pl4nted" not in out
    assert (board / "log").read_text() == ""
