"""The .deb: its control files, and dpkg-deb, which packs the same bytes from the same tree."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from edge.deploy.kit import tree
from edge.deploy.kit.legal import MAINTAINER
from edge.deploy.kit.programs import Programs, need
from edge.deploy.kit.targets import Target
from edge.errors import ConfigError

_INSTALL = "install it: sudo apt install dpkg"
_LEVEL = "10"  # of zstd, on two cores: 5 s more than the least, for a tenth of the size


def ready() -> None:
    """DependencyError without dpkg-deb."""
    need("dpkg-deb", _INSTALL)


def version(own: str, revision: str) -> str:
    """The package's version; ConfigError for a revision that dpkg does not take."""
    if not re.fullmatch(r"[0-9][0-9A-Za-z.+~]*", revision):
        raise ConfigError(f"--revision is {revision!r:.40}, expected a number such as 2, or 2+hall")
    return f"{own}-{revision}"


def control(root: Path, target: Target, full_version: str, source: str) -> str:
    """DEBIAN/control; ``source`` is the camera's address, which decides what the system has to have."""
    depends, recommends = target.depending(source)
    fields = {
        "Package": "emotion-edge",
        "Version": full_version,
        "Architecture": target.arch,
        "Maintainer": MAINTAINER,
        "Installed-Size": str(tree.kilobytes(root)),
        "Depends": ", ".join(depends),
        "Recommends": ", ".join(recommends),
        "Section": "video",
        "Priority": "optional",
        "Emotion-Edge-Target": target.name,
        "Description": "apparent facial expression from a camera, on small machines\n"
        " One recurrent step of a neural network for each face that is tracked. It runs\n"
        " as a service, sends nothing anywhere, and keeps no pictures.\n"
        " .\n"
        f" This package is a kit for {target.system}.\n"
        f" It holds a ready environment for Python {target.python}, the networks and the\n"
        " settings of one kiosk.",
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)


def write_control(
    root: Path,
    target: Target,
    full_version: str,
    source: str,
    scripts: dict[str, str],
    conffiles: Sequence[str],
) -> None:
    """DEBIAN/ for the tree in ``root``, which is complete; ``conffiles`` are below it."""
    listed = set(conffiles)
    texts = {
        "control": control(root, target, full_version, source),
        "md5sums": tree.md5sums(root, frozenset(listed)),
        "conffiles": "".join(f"/{path}\n" for path in sorted(listed)),
    }
    for name, text in texts.items():
        tree.put(root, f"DEBIAN/{name}", text.encode())
    for name, text in scripts.items():
        tree.put(root, f"DEBIAN/{name}", text.encode(), 0o755)


def pack(root: Path, deb: Path, epoch: int, programs: Programs) -> None:
    """The package of the tree ``root``; all its files belong to root, and no time but ``epoch`` is in it."""
    words = ["dpkg-deb", "--root-owner-group", "-Zzstd", f"-z{_LEVEL}", "--threads-max=2", "--build"]
    programs.run([*words, root, deb], _INSTALL, {"SOURCE_DATE_EPOCH": str(epoch)})
