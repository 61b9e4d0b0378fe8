"""The package emotion-edge with other files in it, which the real dpkg installs into a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

TREE = "usr/lib/emotion-edge"
CONTROL = """\
Package: emotion-edge
Version: 1.0
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: stands for the package
"""
_SETTINGS = "etc/emotion-edge.toml"


def why_not() -> str:
    """Why no package can be installed here; "" if it can."""
    if shutil.which("dpkg") is None or shutil.which("dpkg-deb") is None:
        return "needs dpkg"
    return "" if os.geteuid() == 0 else "dpkg unpacks as root alone"


def build(folder: Path, files: Mapping[str, str], tree: Path | None = None) -> Path:
    """A package with ``files``, /etc/emotion-edge.toml as conffile, and ``tree``, which is moved to TREE."""
    root = folder / "deb"
    if tree is not None:
        (root / TREE).parent.mkdir(parents=True)
        shutil.move(tree, root / TREE)
    fixed = {"DEBIAN/control": CONTROL, "DEBIAN/conffiles": f"/{_SETTINGS}\n", _SETTINGS: "# settings\n"}
    for name, text in {**fixed, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    deb = folder / "emotion-edge.deb"
    words = ["dpkg-deb", "-Znone", "--root-owner-group", "--build", str(root), str(deb)]
    subprocess.run(words, check=True, capture_output=True)
    return deb


class Root:
    """A root folder in which the package is installed."""

    def __init__(self, path: Path, deb: Path) -> None:
        self.path, self.status = path, path / "var/lib/dpkg/status"
        for name in ("info", "updates", "triggers"):
            (self.status.parent / name).mkdir(parents=True)
        self.status.touch()
        self.environment = os.environ | {"DPKG_ROOT": str(path)}
        self.dpkg("--install", str(deb))

    def dpkg(self, *words: str) -> str:
        """What dpkg says."""
        command = ["dpkg", *words]
        done = subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True)
        return done.stdout
