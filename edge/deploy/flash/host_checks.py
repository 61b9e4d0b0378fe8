"""Whether this machine can run NVIDIA's flasher: packages, emulator, automounting, network, boards on USB.

Packages are those of l4t_flash_prerequisites.sh of R35.3.1, R36.2 and R39.2; all of it is read from files.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge.deploy.flash import packages, recovery
from edge.deploy.flash.l4t_board import Board
from edge.deploy.flash.l4t_release import Release
from edge.deploy.flash.tree_text import text
from edge.system import sysfs
from edge.system.finding import FAULT, NOTE, OK, WARNING, Finding

_PREREQUISITES = "sudo tools/l4t_flash_prerequisites.sh"
_ALL = (
    "abootimg", "binutils", "cpio", "cpp", "device-tree-compiler", "dosfstools", "lbzip2", "libxml2-utils",
    "nfs-kernel-server", "openssl", "python3-yaml", "sshpass", "udev", "uuid-runtime", "whois", "lz4",
)  # fmt: skip
_R38 = (
    "e2fsprogs", "file", "gdisk", "iproute2", "iputils-ping", "netcat-openbsd", "parted", "rsync", "usbutils",
    "xmlstarlet", "xxd", "zstd", "python3-usb",
)  # fmt: skip
QEMU = "usr/bin/qemu-aarch64-static"
_BINFMT = "proc/sys/fs/binfmt_misc/qemu-aarch64"


@dataclass(frozen=True)
class Host:
    """The machine that flashes: its files, the devices on its USB, who runs this, and its processor."""

    root: Path = Path("/")
    devices: Path = recovery.DEVICES
    uid: int = field(default_factory=os.geteuid)
    machine: str = field(default_factory=platform.machine)


def system(host: Host, release: Release) -> Iterator[Finding]:
    """Release, packages, automounting and network of the host."""
    version = re.search(r"^DISTRIB_RELEASE=(\S+)", text(host.root / "etc/lsb-release", True), re.MULTILINE)
    said = f"Ubuntu {version[1]}" if version else "no Ubuntu"
    if host.machine != "x86_64":
        fix = "flash from an x86-64 machine"
        yield Finding("host", WARNING, f"this machine is {host.machine}; NVIDIA's tools are for x86-64", fix)
    elif release.major == 36 and version and float_of(version[1]) >= 24.04:
        yield Finding(
            "host", WARNING, f"{said}: R36's prerequisites name python2, which it has no more",
            "flash R36 from Ubuntu 20.04 or 22.04",
        )  # fmt: skip
    elif version and version[1] in ("20.04", "22.04"):
        yield Finding("host", OK, said)
    else:
        yield Finding("host", WARNING, f"{said}; NVIDIA names 20.04 and 22.04 (SDK Manager of JetPack 6.1)",
                      "if the flasher fails, try one of those")  # fmt: skip
    yield from _packages(host, release)
    yield from _services(host, release)


def emulator(host: Host, release: Release) -> Iterator[Finding]:
    """Whether a program of the board runs here, which NVIDIA's script for the first user needs."""
    if not (host.root / QEMU).is_file():
        yield Finding("qemu", FAULT, f"/{QEMU} is missing, which {release.line}'s script for users runs",
                      "sudo apt install qemu-user-static")  # fmt: skip
    elif host.machine != "aarch64" and not text(host.root / _BINFMT).startswith("enabled"):
        yield Finding(
            "qemu", FAULT, f"/{_BINFMT} is not enabled: no program of the board runs here, as "
            f"{release.line}'s script for users wants",
            "sudo apt install binfmt-support qemu-user-static && sudo systemctl restart binfmt-support",
        )  # fmt: skip
    else:
        yield Finding("qemu", OK, "programs of the board run here")


def boards(host: Host, board: Board | None, release: Release, needed: bool) -> Iterator[Finding]:
    """The boards in recovery mode; exactly one, of the module of ``board``, where one is ``needed``."""
    found, flasher = recovery.boards(host.devices), f"{release.line}'s l4t_initrd_flash.sh"
    if not needed:
        yield Finding("USB", NOTE, f"{len(found)} boards in recovery mode; images are made without one")
    elif not found and recovery.flashing(host.devices):
        said = f"a board runs the flasher's own system (0955:7035 of {release.line}), not recovery mode"
        yield Finding(
            "USB", FAULT, said, "hold its recovery button while it is reset, see docs/flash-jetson.md"
        )
    elif not found:
        yield Finding("USB", FAULT, f"no board is in recovery mode: {flasher} looks for vendor 0955 on USB",
                      "hold its recovery button while it is reset, check the cable with lsusb")  # fmt: skip
    elif len(found) > 1:
        told = ", ".join(f"{one.module} at {one.place}" for one in found)
        yield Finding("USB", FAULT, f"{len(found)} boards are in recovery mode: {told}; {flasher} takes one",
                      "unplug all but one, or give --massflash N")  # fmt: skip
    elif board and found[0].family != board.family:
        yield Finding(
            "USB", FAULT, f"at {found[0].place} is an {found[0].module} (0955:{found[0].product}), "
            f"--board {board.name} is for {board.family} (ids of {flasher})",
            "name that module's board, or plug in another one",
        )  # fmt: skip
    else:
        yield Finding("USB", OK, f"{found[0].module} in recovery mode at {found[0].place}")


def float_of(version: str) -> float:
    """A release such as 22.04 to compare; 0 for anything else."""
    return float(version) if re.fullmatch(r"\d{1,3}\.\d{1,3}", version) else 0.0


def _packages(host: Host, release: Release) -> Iterator[Finding]:
    installed = packages.installed(host.root)
    if not installed:
        yield Finding("packages", WARNING, "this machine has no dpkg, so its programs are not known",
                      "flash from Ubuntu, or see to NVIDIA's prerequisites yourself")  # fmt: skip
        return
    wanted = _ALL + (_R38 if release.major >= 38 else ())
    if missing := [name for name in wanted if name not in installed]:
        yield Finding("packages", FAULT, f"{release}'s flasher needs {', '.join(missing)}", _PREREQUISITES)
    else:
        yield Finding("packages", OK, "what the flasher needs is installed")


def _services(host: Host, release: Release) -> Iterator[Finding]:
    if "udisksd" in _processes(host.root):
        yield Finding("automount", WARNING, "udisks runs, which mounts a board's disk while it is written",
                      "sudo systemctl stop udisks2.service")  # fmt: skip
    if text(host.root / "proc/sys/net/ipv6/conf/all/disable_ipv6").strip() == "1":
        yield Finding("network", FAULT, f"IPv6 is off, which {release.line}'s flasher needs for usb0",
                      "sudo sysctl net.ipv6.conf.all.disable_ipv6=0")  # fmt: skip
    if release.major >= 39 and re.search(r"^ENABLED=yes", text(host.root / "etc/ufw/ufw.conf"), re.MULTILINE):
        yield Finding("network", WARNING, f"ufw is on; {release}'s flasher needs port 2049 (NFS)",
                      "sudo ufw allow 2049")  # fmt: skip


def _processes(root: Path) -> set[str]:
    return {sysfs.text(path) or "" for path in (root / "proc").glob("[0-9]*/comm")}
