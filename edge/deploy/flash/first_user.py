"""The first user of a root file system: NVIDIA's script makes it, then its password is exchanged at once.

That script takes a password as an argument, prints it, and keeps it as MD5. So it gets a random one that
nobody sees or uses, and what the file of secrets holds takes its place: a hash, or none.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from edge.deploy.flash.rootfs_checks import CREATE_USER, exists
from edge.deploy.flash.tree_text import text
from edge.deploy.flash.writes import Writes
from edge.errors import EdgeError

_SHADOWS = ("etc/shadow", "etc/shadow-")


def words(tree: Path, name: str, password: str) -> list[str]:
    """The call of NVIDIA's script; the same options in R35.3.1, R36.2, R38.4 and R39.2."""
    return [str((tree / CREATE_USER).resolve()), "-u", name, "-p", password, "--accept-license"]


def make(tree: Path, writes: Writes, name: str, hash_: str, run: Callable[[Sequence[str]], int]) -> None:
    """Make the user if it is missing, and give it ``hash_``. EdgeError if the script does not."""
    if not exists(writes.root, name):
        writes.step("first user")
        code = run(words(tree, name, secrets.token_urlsafe(24)))
        if code or not exists(writes.root, name):
            raise EdgeError(
                f"{CREATE_USER} did not make the user {name} (exit code {code}); run it by hand to see why"
            )
    for path in _SHADOWS:
        _set_hash(writes, path, name, hash_, needed=path == _SHADOWS[0])


def authorize(writes: Writes, name: str, keys: bytes) -> None:
    """Let the owners of these public keys in."""
    row = next(line for line in text(writes.root / "etc/passwd").splitlines() if line.startswith(f"{name}:"))
    fields = row.split(":")
    uid, gid, home = int(fields[2]), int(fields[3]), fields[5].strip("/")
    before = text(writes.root / home / ".ssh/authorized_keys").splitlines()
    lines = [*before, *(line for line in keys.decode().splitlines() if line not in before)]
    writes.folder(f"{home}/.ssh", 0o700, uid, gid)
    writes.file(f"{home}/.ssh/authorized_keys", ("\n".join(lines) + "\n").encode(), 0o600, uid, gid)


def silent(words: Sequence[str]) -> int:
    """Run a program whose words nobody may read; its exit code."""
    try:
        return subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ).returncode
    except OSError as error:
        raise EdgeError(f"{words[0]} cannot be run ({error.strerror}); see its mode and its owner") from error


def _set_hash(writes: Writes, path: str, name: str, hash_: str, needed: bool) -> None:
    said = text(writes.root / path)
    lines = said.splitlines()
    for number, line in enumerate(lines):
        if line.startswith(f"{name}:"):
            fields = line.split(":")
            lines[number] = ":".join([fields[0], hash_, *fields[2:]])
            status = (writes.root / path).lstat()
            data = ("\n".join(lines) + "\n").encode()
            writes.file(path, data, status.st_mode & 0o7777, status.st_uid, status.st_gid)
            return
    if needed:
        raise EdgeError(f"{writes.root / path} has no line of {name}; unpack the root file system again")
