"""A kit that `kit flash --l4t` has put into a root file system: that root is booted twice, and cleaned again.

Debian for arm64 stands where NVIDIA's root stands. dpkg, useradd, systemd and the kit are the real ones; the
machine is an emulated one without a network, so its times are only printed.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import arm64
import kit_machine
import kits
import pytest
import rootfs
from kit_machine import ARM64, Machine

from edge.deploy.flash import deb, l4t_flash, ledger_file
from edge.deploy.flash.ledger import Ledger
from edge.deploy.flash.overlay import Overlay
from edge.deploy.flash.writes import Writes
from edge.deploy.kit import secret_file
from edge.deploy.kit.secret_file import USER
from edge.errors import EdgeError
from edge.system.hashing import sha256
from edge.system.steps import Steps

pytestmark = [pytest.mark.boards, pytest.mark.slow]

HEALTH = "/run/emotion-edge/health.json"
SERVING = f"systemctl --quiet is-active emotion-edge.service && grep --quiet '\"frames\": [1-9]' {HEALTH}"
START_S = 900  # an emulator on a busy machine
PLANTED = "pl4nted-s3cret"
HASH = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"  # crypt(5)'s own example
SECRETS = f"""\
[user]
name = "kiosk"
password_hash = "{HASH}"
[ssh]
authorized_keys = "{{key}}"
[wifi]
ssid = "museum"
psk = "{PLANTED}-wifi"
[credentials]
camera = "{PLANTED}-camera"
"""
# What NVIDIA's script does, with the root's own useradd, and as talkative.
CREATE_USER = r"""#!/bin/sh
set -e
root=$(dirname "$0")/../rootfs
[ "$1" = -u ] && [ "$3" = -p ] && [ "$5" = --accept-license ]
chroot "$root" useradd --create-home --shell /bin/bash --groups sudo,video,audio,adm \
    --password "$(openssl passwd -1 "$4")" "$2"
echo tegra-ubuntu >"$root/etc/hostname"
echo "127.0.1.1 tegra-ubuntu" >>"$root/etc/hosts"
rm -f "$root/etc/systemd/system/default.target"
echo "user $2, password $4"
"""
WIZARD = """\
[Unit]
Description=Asks a person, as NVIDIA's does
Requires=basic.target
Conflicts=multi-user.target
After=basic.target
AllowIsolate=yes
"""


@dataclass(frozen=True)
class Flashed:
    """A tree with the kit, what its root held before, and a disk made of it."""

    tree: Path
    before: dict[str, tuple[object, ...]]
    disk: Path


@pytest.fixture(scope="module")
def flashed(tmp_path_factory: pytest.TempPathFactory) -> Flashed:
    if reason := ARM64.why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("flash")
    tree = folder / "Linux_for_Tegra"
    tree.mkdir()
    try:
        root = ARM64.copy_of_root(tree / "rootfs")
        _as_nvidia_leaves_it(tree)
        kits.unhurried(root)
        package = kits.make("pi-trixie", folder)
        before = listed(root)
        secrets = secret_file.read(_secrets(folder))
        (user,) = (file.data.decode().strip() for file in secrets if file.path == USER)
        name, _, hash_ = user.partition(":")
        plan = Overlay(tree, package, deb.members(package), secrets, b"", (name, hash_))
        with arm64.emulated(), Steps("emotion-edge") as steps:
            l4t_flash.flash(plan, steps)
    except rootfs.Offline as error:
        pytest.skip(f"the machine cannot be built without network: {error}")
    return Flashed(tree, before, kit_machine.disk(root, folder / "disk.img"))


@pytest.fixture(scope="module")
def machine(flashed: Flashed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The machine after its first start."""
    with kit_machine.started(flashed.disk, tmp_path_factory.mktemp("first")) as first:
        print(f"first power to first frame: {first.wait(SERVING, START_S):.0f} s, emulated")
        yield first


def test_the_first_start_serves(machine: Machine) -> None:
    assert machine.said_by("ls /sys/class/net") == "lo", "there is no network"
    assert machine.said_by("dpkg-query --show --showformat '${db:Status-Abbrev}\\n' emotion-edge") == "ii "
    assert machine.said_by("dpkg --verify emotion-edge") == ""
    health = json.loads(machine.said_by(f"cat {HEALTH}"))
    assert health["engine"] == "fp32 on ONNX Runtime"
    assert health["frames"] >= 1
    assert machine.run("systemctl --quiet is-active nv-oem-config.target").split()[-1] != "0"


def test_the_first_user_and_the_key_are_there(machine: Machine) -> None:
    assert machine.said_by("getent shadow kiosk").startswith(f"kiosk:{HASH}:")
    assert machine.said_by("passwd --status kiosk").startswith("kiosk P "), "a password that can be used"
    assert machine.said_by("su kiosk -c 'cd; pwd; id -Gn'").splitlines()[0] == "/home/kiosk"
    assert " sudo " in machine.said_by("su kiosk -c 'id -Gn'") + " "
    keys = "/home/kiosk/.ssh/authorized_keys"
    assert machine.said_by(f"stat -c '%U %a' {keys} /home/kiosk/.ssh") == "kiosk 600\nkiosk 700"
    assert "ED25519" in machine.said_by(f"ssh-keygen -l -f {keys}")
    assert machine.said_by("hostname") == "tegra-ubuntu"


def test_secrets_are_for_root_and_the_service_alone(machine: Machine) -> None:
    credential = machine.said_by("cat /run/credentials/emotion-edge.service/camera; echo")
    assert credential == f"{PLANTED}-camera"
    holders = machine.said_by(
        f"grep -rlF {PLANTED} /etc /home /usr/lib/emotion-edge /var | xargs stat -c '%a %U %n'"
    )
    assert holders
    assert [line for line in holders.splitlines() if not line.startswith(("600 root ", "400 root "))] == []
    assert machine.run(f"journalctl --no-pager | grep -F {PLANTED}").split() == ["1"]


def test_the_second_start_serves_and_its_root_is_not_unflashed(
    machine: Machine, flashed: Flashed, tmp_path: Path
) -> None:
    """What a board has changed since is not lost; the tree on the host is what is taken back."""
    machine.off()
    with kit_machine.started(flashed.disk, tmp_path) as again:
        print(f"second power to first frame: {again.wait(SERVING, START_S):.0f} s, emulated")
        assert again.run("systemctl --failed --plain --no-legend").split() == ["0"]
        again.off()
    with _mounted(flashed.disk, tmp_path / "board") as tree, Steps("emotion-edge") as steps:
        before = listed(tree / "rootfs")
        with pytest.raises(EdgeError, match="a board has started from it") as refused:
            l4t_flash.unflash(tree, steps)
        print(refused.value)
        assert listed(tree / "rootfs") == before


def test_unflashed_it_boots_as_before(flashed: Flashed, tmp_path: Path) -> None:
    root = flashed.tree / "rootfs"
    assert Ledger(Writes(root)).state() == ledger_file.DONE
    with Steps("emotion-edge") as steps:
        l4t_flash.unflash(flashed.tree, steps)
    assert differing(flashed.before, listed(root)) == []
    with kit_machine.started(kit_machine.disk(root, tmp_path / "disk.img"), tmp_path) as machine:
        print(
            f"power to the wizard: {machine.wait('systemctl is-active nv-oem-config.target', START_S):.0f} s"
        )
        ours = "/etc/systemd/system/emotion-edge.service.d"  # of kits.unhurried
        assert machine.said_by(f"find / -xdev -iname '*emotion*' -not -path '{ours}*'") == ""
        assert machine.run("getent passwd kiosk").split() == ["2"]
        assert machine.run("grep -c emotion /var/lib/dpkg/status").split() == ["0", "1"]
        assert machine.run("journalctl --no-pager | grep -c emotion-edge").split() == ["0", "1"]
        machine.off()


def listed(root: Path) -> dict[str, tuple[object, ...]]:
    """Path -> kind, mode, owner, time and content of all that a root holds.

    But for the time of empty files: dpkg's locks get a new one by being opened.
    """
    found = dict[str, tuple[object, ...]]()
    for folder, folders, names in os.walk(root):
        for path in (Path(folder) / name for name in [*folders, *names]):
            status = path.lstat()
            content = os.readlink(path) if path.is_symlink() else ""
            if stat.S_ISREG(status.st_mode):
                content = sha256(path)
            time_ns = status.st_mtime_ns if status.st_size else 0
            owned = (status.st_mode, status.st_uid, status.st_gid, time_ns)
            found[str(path.relative_to(root))] = (*owned, content)
    return found


def differing(one: dict[str, tuple[object, ...]], other: dict[str, tuple[object, ...]]) -> list[str]:
    return sorted(path for path in {*one, *other} if one.get(path) != other.get(path))


def _as_nvidia_leaves_it(tree: Path) -> None:
    """The parts of NVIDIA's tree that the kit meets: the script for the first user, and the wizard."""
    script = tree / "tools/l4t_create_default_user.sh"
    script.parent.mkdir()
    script.write_text(CREATE_USER)
    script.chmod(0o755)
    (tree / "rootfs/usr/lib/systemd/system/nv-oem-config.target").write_text(WIZARD)
    link = tree / "rootfs/etc/systemd/system/default.target"
    link.unlink(missing_ok=True)
    link.symlink_to("/usr/lib/systemd/system/nv-oem-config.target")


def _secrets(folder: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    path = folder / "secrets.toml"
    path.touch(0o600)
    path.write_text(SECRETS.format(key=(folder / "key.pub").read_text().strip()))
    return path


@contextmanager
def _mounted(disk: Path, tree: Path) -> Iterator[Path]:
    """A tree whose root is the disk of a board."""
    (tree / "rootfs").mkdir(parents=True)
    subprocess.run(["mount", "-o", "loop", str(disk), str(tree / "rootfs")], check=True)
    try:
        yield tree
    finally:
        subprocess.run(["umount", str(tree / "rootfs")], check=True)
