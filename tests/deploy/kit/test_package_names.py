"""The packages of the system that a kit asks for, in the package lists that this machine has."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from edge.deploy.kit import targets

CHECKED = {target.python: target for target in targets.TARGETS if target.checked}


def archive_python() -> str:
    """The Python of this machine's system, by its package lists; "" without them."""
    if not shutil.which("apt-cache"):
        return ""
    said = subprocess.run(["apt-cache", "depends", "python3"], capture_output=True, text=True).stdout
    return next((word.removeprefix("python3.") for word in said.split() if word.startswith("python3.")), "")


def test_each_name_is_in_the_archive() -> None:
    target = CHECKED.get(f"3.{archive_python()}" if archive_python() else "")
    if target is None:
        pytest.skip("this machine has no package lists of Debian 12 or 13")
    depends, recommends = target.depending("/dev/video0")
    for entry in [*depends, *recommends]:
        name = entry.split()[0]
        known = subprocess.run(["apt-cache", "show", name], capture_output=True, text=True).stdout
        assert f"Package: {name}\n" in known, name
