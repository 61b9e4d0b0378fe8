"""`kit install` over OpenSSH into a booted Debian without a network: from nothing to a ready service."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import kit_board
import pytest
from container import until
from kit_board import Board

pytestmark = pytest.mark.boards

PLANTED = "pl4nted-s3cret"
SECRETS = f"""
[wifi]
ssid = "museum"
psk = "{PLANTED}-wifi"
[credentials]
camera = "{PLANTED}-camera"
[ssh]
authorized_keys = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI desk"
[user]
name = "kiosk"
password_hash = "$6${PLANTED}$abcdefghijklmnop"
"""


def test_a_board_goes_from_nothing_to_a_service_that_is_ready(board: Board) -> None:
    began = time.monotonic()
    code, out, fault = board.install(board.kits["1.0"])
    print(f"{time.monotonic() - began:.1f} s\n{fault}{out}")
    assert code == 0, fault
    assert "ready: serves 1.0" in out
    assert board.version() == "ii 1.0"
    assert board.machine.show("UnitFileState") == "enabled"
    assert "emotion-edge" in board.machine.run("getent", "passwd", "emotion-edge")
    left = board.machine.run("find", "/etc/systemd/system", "/var/lib/emotion-edge-kits", "-type", "f")
    assert "firstboot" not in left, "what was for a power cut alone"
    assert "/var/lib/emotion-edge-kits/current.deb" in left.split()
    code, out, fault = board.install(board.kits["1.0"])
    assert code == 0
    assert "installed already" in fault


def test_a_newer_kit_an_older_one_and_back(with_one: Board) -> None:
    code, out, fault = with_one.install(with_one.kits["1.1"])
    assert (code, "ready: serves 1.1" in out) == (0, True), fault
    code, _, fault = with_one.install(with_one.kits["1.0"])
    assert code == 2
    assert "has version 1.1, the kit is 1.0, which is older; add --downgrade" in fault
    for expected in ("1.0", "1.1"):
        code, out, fault = with_one.install("--rollback")
        assert (code, f"ready: serves {expected}" in out) == (0, True), fault
        assert with_one.version() == f"ii {expected}"


@pytest.mark.slow
def test_the_version_before_comes_back_after_the_package_was_removed(with_one: Board) -> None:
    assert with_one.install(with_one.kits["1.1"])[0] == 0
    with_one.machine.run("dpkg", "--remove", "emotion-edge")
    code, out, fault = with_one.install("--rollback")
    assert (code, "ready: serves 1.0" in out) == (0, True), fault
    with_one.machine.run("dpkg", "--purge", "emotion-edge")
    code, _, fault = with_one.install("--rollback")
    assert (code, "no version before is kept" in fault) == (2, True), fault


def test_a_changed_setting_survives_an_update(with_one: Board) -> None:
    with_one.machine.run("sed", "-i", "s/video0/video7/", "/etc/emotion-edge.toml")
    assert with_one.install(with_one.kits["1.1"])[0] == 0
    assert "video7" in with_one.machine.run("cat", "/etc/emotion-edge.toml")


def test_secrets_arrive_and_are_seen_nowhere_else(with_one: Board, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.toml"
    secrets.touch(0o600)
    secrets.write_text(SECRETS)
    calls = tmp_path / "calls"
    trace = ["strace", "--follow-forks", "--trace=execve,execveat", "--no-abbrev", "--string-limit=9999"]
    if not shutil.which("strace"):
        pytest.skip("not installed: strace")
    code, out, fault = with_one.install(
        with_one.kits["1.0"], "--secrets", secrets, before=[*trace, f"--output={calls}"]
    )
    assert code == 0, fault
    seen = calls.read_text()  # arguments and environment of each program, the container's too
    assert "/usr/sbin/chpasswd" in seen
    assert PLANTED not in seen
    assert PLANTED not in out + fault
    assert "with camera" in with_one.status(), "the service can read it"
    machine = with_one.machine
    listed = machine.run(
        "grep", "-rlF", PLANTED, "/etc", "/var", "/home", "/root", "/usr/lib/systemd", "/run"
    )
    allowed = {
        "/etc/emotion-edge/credentials/camera", "/etc/shadow", "/run/credentials/emotion-edge.service/camera",
        "/etc/NetworkManager/system-connections/emotion-edge-wifi.nmconnection",
    }  # fmt: skip
    assert set(listed.split()) - {"/etc/shadow-"} == allowed
    for path in sorted(allowed):
        mode = machine.run("stat", "-c", "%a", path).strip()
        assert mode in ("600", "640", "440", "400"), (path, mode)
    assert PLANTED not in machine.run("journalctl", "--no-pager")
    assert machine.run("stat", "-c", "%U %a", "/home/kiosk/.ssh/authorized_keys") == "kiosk 600\n"
    code, out, fault = with_one.install(with_one.kits["1.0"], "--dry-run", "--secrets", secrets)
    assert code == 0
    assert PLANTED not in out + fault
    assert "0600 root:root /etc/emotion-edge/credentials/camera" in out


def test_what_a_power_cut_left_is_finished_at_the_next_start(with_one: Board) -> None:
    """As after a cut: the kit waits, dpkg has unpacked it, and nothing is configured."""
    machine = with_one.machine
    deb = next(with_one.kits["1.1"].glob("*.deb"))
    target = Path(f"/proc/{machine.pid}/root/var/lib/emotion-edge-kits/next.deb")
    for action, state in (("--unpack", "iU "), ("", "ii ")):
        target.write_bytes(deb.read_bytes())
        if action:
            machine.run("dpkg", action, "/var/lib/emotion-edge-kits/next.deb")
        assert with_one.version().startswith(state)
        machine.run("systemctl", "restart", "emotion-edge-firstboot.service")
        assert with_one.version() == "ii 1.1", machine.run("journalctl", "-u", "emotion-edge-firstboot")
        until(lambda: "1.1" in with_one.status(), 30, "not ready")


def test_a_package_that_was_unpacked_from_outside_starts_by_itself(board: Board) -> None:
    """As after `dpkg --root --unpack` on a foreign host: no script has run. Then the first start."""
    machine = board.machine
    machine.run("dpkg", "--purge", "emotion-edge")
    deb = next(board.kits["1.0"].glob("*.deb"))
    place = Path(f"/proc/{machine.pid}/root/root/kit.deb")
    place.write_bytes(deb.read_bytes())
    machine.run("dpkg", "--unpack", "/root/kit.deb")
    machine.run("systemctl", "daemon-reload")
    assert "emotion-edge-firstboot.service" in machine.show("Wants", "multi-user.target")
    machine.run("systemctl", "start", "emotion-edge-firstboot.service")
    until(lambda: "serves 1.0" in board.status(), 30, board.machine.journal())
    assert board.version() == "ii 1.0"


def test_a_removed_package_leaves_its_data_and_a_purged_one_nothing(with_one: Board) -> None:
    machine = with_one.machine
    machine.run("mkdir", "/usr/lib/emotion-edge/lib/__pycache__")  # by a Python that root has called
    machine.run("dpkg", "--remove", "emotion-edge")
    assert "No such file" in machine.run("ls", "/usr/lib/emotion-edge")
    assert machine.show("LoadState") == "not-found"
    assert machine.main_pid() in ("", "0")
    machine.run("dpkg", "--purge", "emotion-edge")
    found = machine.run("find", "/etc", "/var/lib", "/var/cache", "/usr", "-name", "*emotion-edge*")
    assert [line for line in found.split() if "/dpkg/" not in line and "nmconnection" not in line] == []


def test_what_is_refused_leaves_the_board_as_it_was(with_one: Board, tmp_path: Path) -> None:
    machine, maker = with_one.machine, with_one.folder / "maker"
    stranger = kit_board.new_key(tmp_path / "stranger")
    jetson = "the kit is for jetson-jp6, but this board is no Jetson; make one for another --target"
    make = kit_board.make_kit
    cases = {
        "board is amd64, the kit is for arm64": make(tmp_path, "2.0", arch="arm64", key=maker),
        "python3 (>= 3.99)": make(tmp_path, "2.1", depends="python3 (>= 3.99)", key=maker),
        jetson: make(tmp_path, "2.5", target="jetson-jp6", key=maker),
        "not signed by a key in /etc/emotion-edge/allowed_signers": make(tmp_path, "2.2", key=stranger),
        "the kit has no signature": make(tmp_path, "2.3"),
        "not the one of SHA256SUMS": make(tmp_path, "2.4", key=maker),
    }
    deb = next(cases["not the one of SHA256SUMS"].glob("*.deb"))
    deb.write_bytes(deb.read_bytes() + b"x")
    for said, kit in cases.items():
        code, _, fault = with_one.install(kit)
        assert code == 2
        assert said in fault, fault
        assert "Traceback" not in fault
    assert with_one.version() == "ii 1.0"
    assert machine.show("ActiveState") == "active"


@contextmanager
def small(board: Board, path: str, size: str) -> Iterator[None]:
    """A disk of its own for one folder, with what was in it."""
    machine = board.machine
    machine.run("cp", "-a", path, "/root/kept")
    machine.run("mount", "-t", "tmpfs", "-o", f"mode=755,size={size}", "tmpfs", path)
    machine.run("cp", "-a", "/root/kept/.", path)
    try:
        yield
    finally:
        machine.run("umount", path)
        machine.run("rm", "-r", "/root/kept")


def test_a_full_disk_is_said_and_the_version_before_runs_on(with_one: Board) -> None:
    machine = with_one.machine
    for path, size, said in (
        ("/var/lib/emotion-edge-kits", "1500k", "board has no space left; free some there and run the same"),
        ("/usr/lib/emotion-edge", "1500k", "board: no space is left for the kit; free space on the board"),
    ):
        with small(with_one, path, size):
            code, _, fault = with_one.install(with_one.kits["1.1"])
            assert (code, said in fault) == (2, True), fault
            assert with_one.version() == "ii 1.0"
            until(lambda: "serves 1.0" in with_one.status(), 30, "not ready")
            assert "failed.deb" not in machine.run("ls", "/var/lib/emotion-edge-kits")
    code, out, fault = with_one.install(with_one.kits["1.1"])
    assert (code, "ready: serves 1.1" in out) == (0, True), fault


def test_a_disk_that_cannot_be_written_is_said_before_anything_is_copied(with_one: Board) -> None:
    machine = with_one.machine
    machine.run("mount", "--bind", "/var/lib", "/var/lib")
    machine.run("mount", "-o", "remount,bind,ro", "/var/lib")
    try:
        code, _, fault = with_one.install(with_one.kits["1.1"])
    finally:
        machine.run("umount", "/var/lib")
    assert (code, "board has /var/lib mounted read-only; mount it for writing" in fault) == (2, True), fault


def at_a_terminal(board: Board, answer: str) -> tuple[int, str]:
    """Exit code and words of `kit install` by the user "fitter", who answers the question for a password."""
    there, here = os.openpty()
    process = subprocess.Popen(
        board.command(board.kits["1.1"], host="fitter@board"),
        env=board.environment(), start_new_session=True, stdin=here, stdout=here, stderr=here,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(here)
    said = b""
    with suppress(OSError):  # EIO: the other end is closed
        while more := os.read(there, 4096):
            said += more
            if said.endswith(b"for sudo: "):
                os.write(there, answer.encode())
    os.close(there)
    return process.wait(60), said.decode()


def test_a_password_for_sudo_is_asked_for_at_a_terminal(with_one: Board) -> None:
    with_one.machine.run("sh", "-c", f"echo fitter:{PLANTED} | chpasswd; usermod -aG sudo fitter")
    for answer, code, words in (
        ("wrong\n", 2, "sudo on fitter@board does not take that password; try it again"),
        ("\3", 130, "interrupted; nothing"),
        (f"{PLANTED}\n", 0, "ready: serves 1.1"),
    ):
        ended, said = at_a_terminal(with_one, answer)
        assert (ended, words in said) == (code, True), said
        assert PLANTED not in said
        assert said.count("password of fitter@board for sudo:") == 1


def test_a_login_that_does_not_get_through(with_one: Board) -> None:
    kit = with_one.kits["1.1"]
    for host, said in (
        ("fitter@board", "sudo on fitter@board asks for a password; run this in a terminal"),
        ("root@other", "has a host key that is not known here; connect once by hand"),
        ("nobody@board", "takes no key of yours; run: ssh-copy-id"),
        ("root@no-such-board.invalid", "a name that is not known"),
        ("-oProxyCommand=touch", "expected USER@HOST"),
    ):
        code, _, fault = with_one.install(kit, host=host)
        assert (code, said in fault) == (2, True), fault
    known = with_one.folder / "known"
    before = known.read_text()
    known.write_text(f"board {' '.join((with_one.folder / 'login.pub').read_text().split()[:2])}\n")
    code, _, fault = with_one.install(kit)
    known.write_text(before)
    assert (code, "has another host key than before" in fault) == (2, True), fault
    machine = with_one.machine
    machine.run("sh", "-c", "echo 'fitter ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/fitter")
    code, out, fault = with_one.install(kit, host="fitter@board")
    assert (code, "ready: serves 1.1" in out) == (0, True), fault
