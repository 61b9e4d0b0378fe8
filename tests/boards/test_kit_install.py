"""`kit install` over OpenSSH into a booted Debian without a network: from nothing to a ready service."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import kit_board
import pytest
import rootfs
from container import Machine, boot, until

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
_COMMAND = """
import argparse, sys
from edge.cli import kit_install
from edge.system.command import finish
parser = argparse.ArgumentParser()
kit_install.add_options(parser)
args = parser.parse_args()
sys.exit(finish("emotion-edge", lambda: kit_install.run(args), "nothing"))
"""


@dataclass
class Board:
    machine: Machine
    folder: Path
    bin: Path
    kits: dict[str, Path]

    def start(self, *words: object) -> subprocess.Popen[str]:
        path = f"{self.bin}:{os.environ['PATH']}"
        return subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *map(str, words)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"PATH": path}, start_new_session=True,
        )  # fmt: skip

    def install(self, *words: object, host: str = "root@board") -> tuple[int, str, str]:
        process = self.start(*words, f"--host={host}")
        out, fault = process.communicate(timeout=180)
        return process.returncode, out, fault

    def version(self) -> str:
        return self.machine.run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", "emotion-edge")

    def status(self) -> str:
        return self.machine.show("StatusText")


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    if reason := rootfs.why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("kit")
    try:
        base = rootfs.with_packages("kit", kit_board.PACKAGES)
    except rootfs.Offline as error:
        pytest.skip(str(error))
    upper, work, root = (folder / name for name in ("upper", "work", "root"))
    for path in (upper, work, root):
        path.mkdir(mode=0o755)
    layers = f"lowerdir={base},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True)
    key = kit_board.new_key(folder / "maker")
    kits = {version: kit_board.make_kit(folder, version, key=key) for version in ("1.0", "1.1")}
    try:
        for machine in boot(root, folder / "console.txt"):
            yield Board(machine, folder, kit_board.let_in(machine, folder), kits)
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=False)


@pytest.fixture
def with_one(board: Board) -> Board:
    """Version 1.0 is installed and ready."""
    code, _, fault = board.install(board.kits["1.0"], "--downgrade")
    assert code == 0, fault
    return board


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


def test_a_changed_setting_survives_an_update(with_one: Board) -> None:
    with_one.machine.run("sed", "-i", "s/video0/video7/", "/etc/emotion-edge.toml")
    assert with_one.install(with_one.kits["1.1"])[0] == 0
    assert "video7" in with_one.machine.run("cat", "/etc/emotion-edge.toml")


def test_secrets_arrive_and_are_seen_nowhere_else(with_one: Board, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.toml"
    secrets.touch(0o600)
    secrets.write_text(SECRETS)
    process = with_one.start(with_one.kits["1.0"], "--host", "root@board", "--secrets", secrets)
    seen = b""
    while process.poll() is None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):  # the container's processes, too
            try:
                seen += path.read_bytes()
            except OSError:
                continue
    out, fault = process.communicate()
    assert process.returncode == 0, fault
    assert b"board.sh" in seen
    assert PLANTED.encode() not in seen
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


@pytest.mark.parametrize("after_s", [0.4, 0.8, 1.2, 1.6, 2.0, 2.5])
def test_interrupted_at_any_point_and_run_again_it_ends_the_same(board: Board, after_s: float) -> None:
    board.machine.run("dpkg", "--purge", "emotion-edge")
    process = board.start(board.kits["1.1"], "--host", "root@board")
    time.sleep(after_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    code, out, fault = board.install(board.kits["1.1"])
    assert (code, "ready: serves 1.1" in out) == (0, True), fault
    assert board.version() == "ii 1.1"


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
    machine.run("dpkg", "--remove", "emotion-edge")
    assert machine.show("LoadState") == "not-found"
    assert machine.main_pid() in ("", "0")
    machine.run("dpkg", "--purge", "emotion-edge")
    found = machine.run("find", "/etc", "/var/lib", "/var/cache", "/usr", "-name", "*emotion-edge*")
    assert [line for line in found.split() if "/dpkg/" not in line and "nmconnection" not in line] == []


def test_what_is_refused_leaves_the_board_as_it_was(with_one: Board, tmp_path: Path) -> None:
    machine, maker = with_one.machine, with_one.folder / "maker"
    stranger = kit_board.new_key(tmp_path / "stranger")
    make = kit_board.make_kit
    cases = {
        "board is amd64, the kit is for arm64": make(tmp_path, "2.0", arch="arm64", key=maker),
        "python3 (>= 3.99)": make(tmp_path, "2.1", depends="python3 (>= 3.99)", key=maker),
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
    machine = with_one.machine
    machine.run("sh", "-c", "echo 'fitter ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/fitter")
    code, out, fault = with_one.install(kit, host="fitter@board")
    assert (code, "ready: serves 1.1" in out) == (0, True), fault
