"""A board for `kit install`: a container with sshd behind a pipe, and kits that only play the service."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from container import Machine

from edge.config_file import load
from edge.deploy.kit import maintainer, packaged

PACKAGES = ["openssh-server", "sudo", "procps"]
# In the place of the environment: it is ready, alive, and says which version it is.
_PROGRAM = """\
#!/usr/bin/python3
import os, pathlib, socket, sys, time
if "run" in sys.argv:
    folder = pathlib.Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nowhere"))
    names = ",".join(sorted(path.name for path in folder.glob("*")))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as said:
        said.connect(os.environ["NOTIFY_SOCKET"])
        said.send(b"READY=1\\nSTATUS=serves {version} with " + names.encode())
        while True:
            said.send(b"WATCHDOG=1")
            time.sleep(1)
elif "status" in sys.argv:
    os.execvp("systemctl", ["systemctl", "show", "--value", "--property=StatusText", "emotion-edge.service"])
"""
_CONTROL = """\
Package: emotion-edge
Version: {version}
Architecture: {arch}
Maintainer: Nobody <nobody@example.org>
Depends: {depends}
Emotion-Edge-Target: {target}
Description: plays the service
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

    def command(self, *words: object, host: str = "root@board") -> list[str]:
        """`kit install`, by this checkout."""
        return [sys.executable, "-c", _COMMAND, *map(str, words), f"--host={host}"]

    def environment(self) -> dict[str, str]:
        return os.environ | {"PATH": f"{self.bin}:{os.environ['PATH']}"}

    def install(
        self, *words: object, host: str = "root@board", before: Sequence[str] = ()
    ) -> tuple[int, str, str]:
        """Its exit code, and what it prints; ``before``: a program that starts it."""
        done = subprocess.run(
            [*before, *self.command(*words, host=host)], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, env=self.environment(), start_new_session=True, timeout=180,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def version(self) -> str:
        return self.machine.run("dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", "emotion-edge")

    def status(self) -> str:
        return self.machine.show("StatusText")


def make_kit(
    folder: Path, version: str, *, arch: str = "amd64", depends: str = "python3", key: Path | None = None,
    files: int = 50, target: str = "debian-amd64",
) -> Path:  # fmt: skip
    """A kit as `kit make` writes it, with ``files`` more files to unpack."""
    config = load(None, ["source.address=/dev/video0"])
    board = packaged.target_board(jetson=False)
    tree, kit = folder / "tree", folder / f"kit-{version}-{arch}"
    texts = {file.path: (file.data, file.mode) for file in packaged.files(config, board)}
    texts["usr/lib/emotion-edge/bin/python3"] = _PROGRAM.replace("{version}", version).encode(), 0o755
    texts["etc/emotion-edge.toml"] = b'[source]\naddress = "/dev/video0"\n', 0o644
    texts["DEBIAN/control"] = (
        _CONTROL.format(version=version, arch=arch, depends=depends, target=target).encode(),
        0o644,
    )
    texts["DEBIAN/conffiles"] = b"/etc/emotion-edge.toml\n/etc/update-motd.d/60-emotion-edge\n", 0o644
    for name, text in maintainer.scripts(packaged.enabled(config, board)).items():
        texts[f"DEBIAN/{name}"] = text.encode(), 0o755
    for number in range(files):
        content = f"{version}\n".encode() + os.urandom(20_000)
        texts[f"usr/lib/emotion-edge/lib/part{number:03}"] = content, 0o644
    for path, (data, mode) in texts.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(data)
        (tree / path).chmod(mode)
    kit.mkdir()
    deb = kit / f"emotion-edge_{version}_{arch}.deb"
    build = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(deb)]
    subprocess.run(build, check=True, capture_output=True)
    subprocess.run(["rm", "-r", str(tree)], check=True)
    (kit / "SHA256SUMS").write_text(f"{hashlib.sha256(deb.read_bytes()).hexdigest()}  {deb.name}\n")
    if key:
        sign = [
            "ssh-keygen",
            "-q",
            "-Y",
            "sign",
            "-n",
            "emotion-edge",
            "-f",
            str(key),
            str(kit / "SHA256SUMS"),
        ]
        subprocess.run(sign, check=True, capture_output=True)
        (kit / "allowed_signers").write_text(f"maker {key.with_suffix('.pub').read_text()}")
    return kit


def new_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def let_in(machine: Machine, folder: Path) -> Path:
    """A folder for PATH with an `ssh` that reaches the machine: OpenSSH on both ends, a pipe between."""
    key, bin_ = new_key(folder / "login"), folder / "bin"
    root = Path(f"/proc/{machine.pid}/root")
    machine.run("useradd", "-m", "-s", "/bin/bash", "fitter")
    for user, home in (("root", "root"), ("fitter", "home/fitter")):
        (root / home / ".ssh").mkdir(mode=0o700, exist_ok=True)
        (root / home / ".ssh/authorized_keys").write_text(key.with_suffix(".pub").read_text())
        machine.run("chown", "-R", f"{user}:", f"/{home}/.ssh")
    machine.run("mkdir", "-p", "/run/sshd")
    enter = f"nsenter -t {machine.pid} --all --root --wdns=/ /usr/sbin/sshd -i"
    host = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
    (folder / "known").write_text(f"board {host}")
    (folder / "config").write_text(
        f"Host board other\n ProxyCommand {enter}\n IdentityFile {key}\n IdentitiesOnly yes\n"
        f" UserKnownHostsFile {folder / 'known'}\n StrictHostKeyChecking yes\n"
    )
    bin_.mkdir()
    (bin_ / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {folder / "config"} "$@"\n')
    (bin_ / "ssh").chmod(0o755)
    return bin_
