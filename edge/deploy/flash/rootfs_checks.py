"""Whether the root file system of a tree is ready for a package: what was found, each with its fix.

What an unpacked, a prepared and an interrupted root hold was read in the scripts of R35.3.1, R36.2 and R39.2.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edge.deploy.flash import packages
from edge.deploy.flash.l4t_release import Release
from edge.deploy.flash.ledger_file import MANIFEST
from edge.deploy.flash.tree_text import text
from edge.system.finding import FAULT, NOTE, OK, WARNING, Finding

_UNPACK = "as root, unpack NVIDIA's sample root file system into it, then run apply_binaries.sh"
_APPLY = "run: sudo ./apply_binaries.sh"
# A clean run of apply_binaries.sh removes these.
_LEFT = ("usr/bin/qemu-aarch64-static", "opt/nvidia/l4t-packages", "dev/random")
_LINK = "etc/systemd/system/default.target"
# The first-start wizards: of R35 and R36, and of R38 and later. Ordinary services wait until they are done.
_WIZARDS = ("nv-oem-config.target", "nv-oobe.target")
CREATE_USER = "tools/l4t_create_default_user.sh"
_ROOM_BYTES = 300 << 20  # beside the package: dpkg's database and what was there before
_UNPACKED = 5  # times the package


def rootfs(tree: Path, release: Release, deb_bytes: int, uid: int) -> Iterator[Finding]:
    """State, ownership and space of the root file system."""
    root = tree / "rootfs"
    if root.is_dir() and root.samefile("/"):
        fix = "make it a folder of its own, and unpack NVIDIA's sample root file system there"
        yield Finding("rootfs", FAULT, f"{root} leads to the root file system of this machine", fix)
        return
    if not unpacked(root):
        said = f"{root} is not unpacked: it has no etc/passwd, which {release.line}'s apply_binaries.sh wants"
        yield Finding("rootfs", FAULT, said, _UNPACK)
        return
    if foreign := _not_roots(root):
        yield Finding(
            "ownership",
            FAULT,
            f"{foreign}, as in a copy or after unpacking without root, at which {release.line}'s "
            "apply_binaries.sh stops; a board does not start from that",
            "unpack it again with: sudo tar xpf",
        )
        return
    yield from _applied(root, release)
    yield from _space(tree, root, deb_bytes, uid)


def unpacked(root: Path) -> bool:
    """Whether there is a root file system, and another one than this machine's."""
    return (root / "etc/passwd").is_file() and not root.samefile("/")


def wizard(tree: Path, release: Release, user: bool) -> Iterator[Finding]:
    """Whether the first start waits for a person before any service of ours."""
    link = tree / "rootfs" / _LINK
    target = os.path.basename(os.readlink(link)) if link.is_symlink() else ""
    if target not in _WIZARDS:
        yield Finding("first start", OK, "no wizard waits for a person")
    elif user:
        yield Finding("first start", OK, f"{target} goes, for the first user is made here")
    else:
        yield Finding(
            "first start",
            FAULT,
            f"{_LINK} leads to {target} of {release.line}: its wizard waits for a person, and the kiosk "
            "for the wizard",
            f"give a [user] in --secrets, or run NVIDIA's {CREATE_USER}",
        )


def user(tree: Path, release: Release, name: str, accepted: bool) -> Iterator[Finding]:
    """Whether NVIDIA's script can make the first user."""
    if exists(tree / "rootfs", name):
        yield Finding("user", NOTE, f"{name} exists in the root; only its password is set")
        return
    if not (tree / CREATE_USER).is_file():
        yield Finding(
            "user",
            FAULT,
            f"{tree / CREATE_USER} is missing",
            "unpack NVIDIA's driver package again",
        )
    if not any((tree / path).is_file() for path in _licenses(release)):
        yield Finding(
            "user",
            FAULT,
            f"{_licenses(release)[0]} is missing, without which {CREATE_USER} of {release} stops",
            _APPLY if release.major < 38 else "unpack NVIDIA's driver package again",
        )
    if not accepted:
        yield Finding(
            "license",
            FAULT,
            f"{CREATE_USER} asks whether you accept NVIDIA's license ({_licenses(release)[0]})",
            "read it, then add --accept-nvidia-license",
        )


def exists(root: Path, name: str) -> bool:
    """Whether that root has the user."""
    return any(line.startswith(f"{name}:") for line in text(root / "etc/passwd").splitlines())


def _licenses(release: Release) -> list[str]:
    name = "Tegra_Software_License_Agreement-Tegra-Linux.txt"
    if release.major >= 38:
        return [name]
    return [f"rootfs/usr/share/doc/nvidia-tegra/{name}{ending}" for ending in ("", ".gz")]


def _not_roots(root: Path) -> str:
    """What is not root's, or has lost its set-user-id bit; "" if all is well."""
    for path in (root, *(root / name for name in ("etc", "etc/passwd", "etc/shadow", "usr"))):
        if path.exists() and (owner := path.stat().st_uid):
            return f"{path} belongs to user {owner}"
    sudo = root / "usr/bin/sudo"
    if sudo.is_file() and (sudo.stat().st_uid or not sudo.stat().st_mode & stat.S_ISUID):
        return f"{sudo} is not root's set-user-id program"
    return ""


def _applied(root: Path, release: Release) -> Iterator[Finding]:
    if left := [name for name in _LEFT if os.path.lexists(root / name)]:
        yield Finding(
            "apply_binaries",
            FAULT,
            f"it was interrupted: {root} still holds {', '.join(left)}, "
            f"which {release.line}'s removes at its end",
            _APPLY,
        )
        return
    signs = {
        "etc/nv_tegra_release": (root / "etc/nv_tegra_release").is_file(),
        "boot/extlinux/extlinux.conf": (root / "boot/extlinux/extlinux.conf").is_file(),
        "nvidia-l4t-core in dpkg's database": "nvidia-l4t-core" in packages.installed(root),
    }
    if missing := [name for name, there in signs.items() if not there]:
        yield Finding(
            "apply_binaries",
            FAULT,
            f"it was not run: {root} has no {', no '.join(missing)}, as {release.line}'s leaves it",
            _APPLY,
        )
    elif (root / MANIFEST).exists():
        yield Finding("apply_binaries", OK, "it was run, and a kit put in, which goes first")
    elif halves := packages.unfinished(root):
        yield Finding(
            "dpkg",
            FAULT,
            f"{root} has packages half way: {', '.join(halves[:5])}",
            "unpack the root file system again, and run apply_binaries.sh",
        )
    elif list((root / "var/lib/dpkg/updates").glob("[0-9]*")):
        yield Finding(
            "dpkg", FAULT, f"{root}/var/lib/dpkg/updates is not empty: dpkg was interrupted", _APPLY
        )
    else:
        yield Finding("apply_binaries", OK, "it was run")


def _space(tree: Path, root: Path, deb_bytes: int, uid: int) -> Iterator[Finding]:
    disk = os.statvfs(root)
    free, needed = disk.f_bavail * disk.f_frsize, _UNPACKED * deb_bytes + _ROOM_BYTES
    if disk.f_flag & os.ST_RDONLY or (uid == 0 and not os.access(root, os.W_OK)):
        yield Finding(
            "space",
            FAULT,
            f"{tree} is on a read-only file system",
            "remount it read-write, or copy it as root",
        )
    elif free < needed:
        yield Finding(
            "space",
            FAULT,
            f"{tree} has {free / 1e6:.0f} MB free, {needed / 1e6:.0f} MB are needed: "
            f"{_UNPACKED} times the package, and {_ROOM_BYTES / 1e6:.0f} MB for dpkg and what is kept",
            "free some there",
        )
    else:
        yield Finding("space", OK, f"{free / 1e9:.1f} GB free")
    if disk.f_flag & os.ST_NODEV or disk.f_flag & os.ST_NOSUID:
        yield Finding(
            "space", WARNING, f"{tree} is mounted with nosuid or nodev", "move it to a disk without those"
        )
