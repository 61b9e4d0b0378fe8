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
    """One wheel with a module, a script and a license."""
    path, info = folder / f"{name}-{version}-{tag}.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{name}-{version}.data/scripts/{name}-tool", "#!python\n")
        wheel.writestr(f"{info}/METADATA", METADATA.format(name=name, version=version))
        wheel.writestr(f"{info}/WHEEL", WHEEL.format(tag=tag))
        wheel.writestr(f"{info}/LICENSE", "MIT License\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path
