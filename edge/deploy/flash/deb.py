"""A kit's package, as it is read before it is unpacked anywhere; dpkg-deb does the reading."""

from __future__ import annotations

import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from edge.errors import DependencyError, EdgeError

_INSTALL = "sudo apt install dpkg"


@dataclass(frozen=True)
class Member:
    """A file, folder or link of the package."""

    path: str  # below the root
    mode: int
    owner: str  # as user:group
    folder: bool


def target(deb: Path) -> str:
    """What board the kit was made for, "" for a package that does not say."""
    return (
        _run(["dpkg-deb", "--field", str(deb), "Emotion-Edge-Target"], deb).decode("utf-8", "replace").strip()
    )


def members(deb: Path) -> list[Member]:
    """All that it unpacks, folders before what they hold."""
    try:
        with (
            subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as process,
            tarfile.open(fileobj=process.stdout, mode="r|") as archive,
        ):
            found = [_member(entry) for entry in archive]
    except OSError as error:
        raise DependencyError(f"dpkg-deb cannot be run ({error.strerror}); {_INSTALL}") from error
    except tarfile.TarError as error:
        raise EdgeError(f"{deb} cannot be unpacked ({error}); make the kit again") from error
    return sorted((one for one in found if one.path not in ("", ".")), key=lambda one: one.path)


def _member(entry: tarfile.TarInfo) -> Member:
    owner = f"{entry.uname or entry.uid}:{entry.gname or entry.gid}"
    return Member(entry.name.removeprefix("./").rstrip("/"), entry.mode, owner, entry.isdir())


def _run(words: list[str], deb: Path) -> bytes:
    try:
        done = subprocess.run(words, capture_output=True)
    except OSError as error:
        raise DependencyError(f"{words[0]} cannot be run ({error.strerror}); {_INSTALL}") from error
    if done.returncode:
        raise EdgeError(f"{deb} is no package that dpkg-deb reads; make the kit again")
    return done.stdout
