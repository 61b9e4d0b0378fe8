"""Debian 13 that starts as Raspberry Pi OS does: cloud-init, netplan, NetworkManager, a boot partition."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pi_images
import rootfs
from container import until

PACKAGES = ["cloud-init", "netplan.io", "network-manager", "openssh-server", "sudo", "procps"]
# As pi-gen's stage 2 has it, in words of our own.
_CLOUD = """\
datasource_list: [NoCloud, None]
datasource:
  NoCloud:
    seedfrom: file:///boot/firmware
ssh_deletekeys: false
ssh_genkeytypes: []
"""
_NETPLAN = "network:\n  version: 2\n  renderer: NetworkManager\n"


def base() -> Path:
    """Kept between runs; raises rootfs.Offline without the archive."""
    return rootfs.with_packages("pi-os", PACKAGES, _finish, "3")


def _finish(root: Path) -> None:
    (root / "etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg").write_text(_CLOUD)
    (root / "lib/netplan").mkdir(exist_ok=True)
    (root / "lib/netplan/00-network-manager-all.yaml").write_text(_NETPLAN)
    (root / "lib/netplan/00-network-manager-all.yaml").chmod(0o600)
    (root / "boot/firmware").mkdir(parents=True, exist_ok=True)
    # They wait for a network, or for a person: neither comes into a container.
    for unit in ("NetworkManager-wait-online", "systemd-networkd-wait-online", "systemd-firstboot"):
        (root / "etc/systemd/system" / f"{unit}.service").symlink_to("/dev/null")
    (root / "etc/machine-id").write_text("uninitialized\n")


@contextmanager
def system(folder: Path, image: Path) -> Iterator[Path]:
    """A root to boot, thrown away afterwards, with the boot partition of ``image`` at /boot/firmware."""
    upper, work, root, boot = (folder / name for name in ("upper", "work", "root", "boot"))
    for path in (upper, work, root, boot):
        path.mkdir(mode=0o755)
    layers = f"lowerdir={base()},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True)
    options = f"loop,offset={pi_images.START * 512},sizelimit={pi_images.BOOT_SECTORS * 512 * 4}"
    try:
        mount = ["mount", "-t", "vfat", "-o", options, str(image), str(root / "boot/firmware")]
        if subprocess.run(mount, capture_output=True).returncode:
            # A kernel without loop devices or FAT: the same files, with the modes that FAT shows.
            at = f"{image}@@{pi_images.START * 512}"
            subprocess.run(["mcopy", "-s", "-i", at, "::/*", str(boot)], check=True, env=pi_images.QUIET)
            subprocess.run(["chmod", "-R", "0755", str(boot)], check=True)
            subprocess.run(["mount", "--bind", str(boot), str(root / "boot/firmware")], check=True)
        yield root
    finally:
        subprocess.run(["umount", "--lazy", str(root / "boot/firmware")], check=False)
        subprocess.run(["umount", "--lazy", str(root)], check=False)


def nspawn(root: Path) -> list[str]:
    """The words that start ``root`` as a container; what follows them is systemd's command line."""
    words = ["systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--private-network"]
    return [*words, "--directory", str(root), "--boot", "--console=pipe"]


def cut_off(root: Path, place: Path, console: Path) -> None:
    """Start it, and kill its init, and so all of it at once, as soon as ``place`` is there."""
    with console.open("ab") as said:
        process = subprocess.Popen(nspawn(root), stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        until(place.exists, 60, f"{place} did not come")
    finally:
        for init in children.read_text().split():
            os.kill(int(init), signal.SIGKILL)
        process.wait(30)
