"""The wheels of a kit: got by pip for the board's Python and machine, and unpacked by pip, never run."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from edge.deploy.kit.programs import ProgramFailed, Programs
from edge.deploy.kit.targets import Target
from edge.errors import ConfigError, EdgeError
from edge.system.hashing import sha256

_PIP = (sys.executable, "-m", "pip")
_QUIET = ("--quiet", "--disable-pip-version-check", "--no-input")
_INSTALL = "install pip for this Python: python3 -m ensurepip"
_LEFT_OUT = ("RECORD", "REQUESTED", "direct_url.json")  # dpkg knows the files; the last names this machine


def fetch(
    target: Target, folder: Path, programs: Programs, given: Path | None, added: Sequence[Path]
) -> list[Path]:
    """Put the target's wheels and ``added`` into ``folder`` and return them, sorted.

    ``given`` is a folder with wheels that is used in place of a package index. EdgeError names a wheel that
    is missing with the command that gets it.
    """
    folder.mkdir()
    for path in added:
        if path.suffix != ".whl" or not path.is_file():
            raise ConfigError(f"--add-wheel {path} is no wheel; give a file whose name ends in .whl")
        shutil.copyfile(path, folder / path.name)
    own = {_name(path) for path in added}
    pins = [pin for pin in target.wheels if _plain(pin.partition("==")[0]) not in own]
    if given is not None and not given.is_dir():
        raise ConfigError(f"--wheels {given} is not a folder; give one that holds wheels")
    origin = ["--no-index", "--find-links", str(given)] if given else []
    try:
        programs.run([*_PIP, "download", *_QUIET, *origin, *_asked(target), "-d", folder, *pins], _INSTALL)
    except ProgramFailed as error:
        raise _missing(target, pins, given, error) from error
    return sorted(folder.glob("*.whl"))


def unpack(target: Target, wheels: Sequence[Path], site: Path, programs: Programs) -> None:
    """Install ``wheels`` into the folder ``site`` as pip does, without their scripts and without bytecode."""
    pins = [f"{path.name.split('-')[0]}=={path.name.split('-')[1]}" for path in wheels]
    origin = ["--no-index", "--find-links", str(wheels[0].parent)]
    words = [*_PIP, "install", *_QUIET, "--no-compile", *origin, *_asked(target), "--target", str(site)]
    try:
        programs.run([*words, *pins], _INSTALL, {"PIP_USER": "0"})
    except ProgramFailed as error:
        raise EdgeError(
            f"the wheels cannot be unpacked for Python {target.python} on {target.arch} ({error}); "
            "give --add-wheel one that was made on such a board"
        ) from error
    shutil.rmtree(site / "bin", ignore_errors=True)
    for info in site.glob("*.dist-info"):
        for name in _LEFT_OUT:
            (info / name).unlink(missing_ok=True)
        (info / "INSTALLER").write_text("dpkg\n")


def lock(wheels: Sequence[Path]) -> str:
    """The wheels with their hashes, in the form of a requirements file of pip."""
    lines = [f"{path.name.split('-')[0]}=={path.name.split('-')[1]}" for path in wheels]
    rows = [
        f"{pin} --hash=sha256:{sha256(path)}  # {path.name}" for pin, path in zip(lines, wheels, strict=True)
    ]
    return "\n".join(rows) + "\n"


def _asked(target: Target) -> list[str]:
    platforms = [word for tag in target.platforms() for word in ("--platform", tag)]
    return ["--only-binary=:all:", "--no-deps", "--python-version", target.python, *platforms]


def _missing(target: Target, pins: Sequence[str], given: Path | None, error: ProgramFailed) -> EdgeError:
    match = re.search(r"No matching distribution found for (\S+)", error.said)
    if match is None:
        return error
    command = ["python3", "-m", "pip", "download", *_asked(target), "-d", str(given or "wheels"), *pins]
    where = f"in {given}" if given else "at the package index"
    return EdgeError(
        f"no wheel of {match[1]} for Python {target.python} on {target.arch} {where}; "
        f"get them where there is a network, then give the folder with --wheels: {shlex.join(command)}"
    )


def _name(path: Path) -> str:
    return _plain(path.name.split("-")[0])


def _plain(name: str) -> str:
    """A distribution's name in the one spelling that all others are compared by (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
