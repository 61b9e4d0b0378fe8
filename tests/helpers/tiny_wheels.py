"""Wheels with next to nothing in them, for the pins of a target: so a kit is made without a network."""

from __future__ import annotations

import zipfile
from pathlib import Path

from edge.deploy.kit.targets import Target

METADATA = """\
Metadata-Version: 2.1
Name: {name}
Version: {version}
License: MIT
Author: Somebody Else
"""
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: {tag}\n"


def write(folder: Path, target: Target) -> Path:
    """``folder`` with a wheel for each pin of ``target``."""
    folder.mkdir(exist_ok=True)
    for pin in target.wheels:
        name, version = pin.split("==")
        one(folder, name.replace("-", "_"), version, f"py3-none-{target.platforms()[0]}")
    return folder


def one(folder: Path, name: str, version: str, tag: str) -> Path:
    """One wheel with a module, a script, a license, and files whose names do not say whose they are."""
    path, info = folder / f"{name}-{version}-{tag}.whl", f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"VERSION = {version!r}\nSOME = {{'a', 'b', 'c', 'd', 'e'}}\n",
        f"{name}/NOTICE": "nothing\n",
        f"{name}-{version}.data/scripts/{name}-tool": "#!python\n",
        f"{name}-{version}.data/purelib/of_{name}.py": "",
        f"other_{name[:4]}.pth": "",
        f"{info}/METADATA": METADATA.format(name=name, version=version),
        f"{info}/WHEEL": WHEEL.format(tag=tag),
        f"{info}/LICENSE": "MIT License\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for inside, text in files.items():
            wheel.writestr(inside, text)
    return path
