"""The command ``service`` on a folder with as much of a board as the units depend on."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from edge.cli.service import add_options, run

JETSON = "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic\n"


def command(*words: object) -> None:
    """``emotion-edge service WORDS``."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    run(parser.parse_args(list(map(str, words))))


def image(folder: Path, *, jetson: bool = False) -> Path:
    """A root folder with as much of a board as the units depend on."""
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/group").write_text("root:x:0:\nvideo:x:44:\n" + ("render:x:104:\n" if jetson else ""))
    if jetson:
        (folder / "etc/nv_tegra_release").write_text(JETSON)
    return folder


def installed(root: Path) -> dict[str, str]:
    """Every file and link below ``root``/etc/systemd with what it holds."""
    return {
        str(path.relative_to(root)): os.readlink(path) if path.is_symlink() else path.read_text()
        for path in sorted((root / "etc/systemd").rglob("*"))
        if path.is_symlink() or path.is_file()
    }
