"""What goes into a root file system: the package by dpkg, then the user, Wi-Fi and credentials.

The package is only unpacked. It has no preinst, so nothing of the board runs here, and dpkg's own database
knows it: the first-boot unit configures it, and later upgrades work as ever.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.deploy.flash import first_user, packages
from edge.deploy.flash.deb import Member
from edge.deploy.flash.scope import Scope
from edge.deploy.flash.writes import Writes
from edge.deploy.kit.packaged import CREDENTIALS, PackagedFile
from edge.deploy.kit.secret_file import AUTHORIZED_KEYS, USER
from edge.errors import DependencyError, EdgeError

PACKAGE = "emotion-edge"
WANTED = "usr/lib/systemd/system/multi-user.target.d/emotion-edge.conf"  # starts the first-boot unit
_DATABASE = "var/lib/dpkg"
_DROP_IN = "etc/systemd/system/emotion-edge.service.d/credentials.conf"
# What making a user touches beside etc, see useradd(8), and what NVIDIA's script leaves if it is interrupted.
_USERS = ("var/mail", "var/spool/mail", "var/log/lastlog", "var/log/faillog", "usr/bin/qemu-aarch64-static")
_DPKG_ENDINGS = (".dpkg-new", ".dpkg-tmp")


@dataclass(frozen=True)
class Overlay:
    """One kit for one root file system."""

    tree: Path
    deb: Path
    members: Sequence[Member]
    secrets: Sequence[PackagedFile]
    signers: bytes = b""  # of a signed kit: whose kits the board takes
    user: tuple[str, str] = ("", "")

    @property
    def root(self) -> Path:
        """The root file system."""
        return self.tree / "rootfs"

    def files(self) -> list[PackagedFile]:
        """What is written beside the package, root's."""
        found = [file for file in self.secrets if file.path not in (USER, AUTHORIZED_KEYS)]
        names = [Path(file.path).name for file in found if file.path.startswith(f"{CREDENTIALS[1:]}/")]
        if names:
            lines = "".join(f"LoadCredential={name}:{CREDENTIALS}/{name}\n" for name in sorted(names))
            found.append(PackagedFile(_DROP_IN, f"[Service]\n{lines}".encode()))
        if self.signers:
            found.append(PackagedFile("etc/emotion-edge/allowed_signers", self.signers))
        return sorted(found, key=lambda file: file.path)

    def scope(self) -> Scope:
        """All that may change."""
        paths, new = list[str](), list[str]()
        for member in self.members:
            if new and member.path.startswith(f"{new[-1]}/"):
                continue  # its folder is new, and goes altogether
            if member.folder and not os.path.lexists(self.root / member.path):
                new.append(member.path)
            paths.append(member.path)
            if not member.folder:
                paths += [member.path + ending for ending in _DPKG_ENDINGS]
        homes = (f"home/{self.user[0]}",) if self.user[0] else ()
        return Scope(
            (*paths, *(_USERS if self.user[0] else ())),
            ("etc", _DATABASE, *homes),
            (f"{_DATABASE}/info",),
        )

    def commands(self) -> list[list[str]]:
        """What is run, without the first user's throwaway password."""
        found = [dpkg(self.root, self.deb)]
        if self.user[0]:
            found.append(first_user.words(self.tree, self.user[0], "THROWAWAY"))
        return found

    def apply(self, writes: Writes, run: Callable[[Sequence[str]], None]) -> None:
        """Do all of it. Raises OSError and EdgeError, with the root half way."""
        writes.step("dpkg")
        run(dpkg(self.root, self.deb))
        state = packages.known(self.root).get(PACKAGE)
        if state is None or not state.state.endswith(" unpacked") or not (self.root / WANTED).is_file():
            said = state.state if state else "unknown to dpkg"
            raise EdgeError(f"{self.deb.name} was not unpacked whole ({said}); make the kit again")
        if self.user[0]:
            first_user.make(self.tree, writes, *self.user, first_user.silent)
            wizard = "etc/systemd/system/default.target"
            if "nv-o" in (os.readlink(self.root / wizard) if (self.root / wizard).is_symlink() else ""):
                writes.remove(wizard)  # as NVIDIA's script does, where the user was there already
        for file in self.files():
            if file.path.startswith(f"{CREDENTIALS[1:]}/"):
                writes.folder(CREDENTIALS[1:], 0o700)
            writes.file(file.path, file.data, file.mode)
        for file in self.secrets:
            if file.path == AUTHORIZED_KEYS:
                first_user.authorize(writes, self.user[0], file.data)


def dpkg(root: Path, deb: Path) -> list[str]:
    """The call of this machine's dpkg, whose own log and excluded paths do not count."""
    return [
        "dpkg", f"--root={root}", "--force-architecture", "--path-include=/*", "--log=/dev/null", "--unpack",
        str(deb),
    ]  # fmt: skip


def run(words: Sequence[str]) -> None:
    """Run dpkg; EdgeError with the last that it says."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            env={**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        )  # fmt: skip
    except OSError as error:
        raise DependencyError(
            f"{words[0]} cannot be run ({error.strerror}); sudo apt install dpkg"
        ) from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        told = next((line for line in lines if "error" in line), "")
        raise EdgeError(f"dpkg failed: {told or (lines or [f'exit code {done.returncode}'])[-1]:.300}")
