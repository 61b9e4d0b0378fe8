"""Compiles a kit's modules with a CPython of the board's version, whatever machine that runs on."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from edge.deploy.kit.programs import ProgramFailed, Programs
from edge.errors import ConfigError, EdgeError

_ASK = "import platform, sys; print(platform.python_implementation(), '%d.%d' % sys.version_info[:2])"


def compile_modules(root: Path, folder: Path, python: str, programs: Programs) -> None:
    """Compile all modules of ``folder`` below ``root``, the root folder of the board, with that ``python``.

    The hash in the bytecode is not checked when it is loaded (PEP 552): times of files do not matter, and a
    read-only root starts as fast as one that can be written. One process, and a fixed seed of Python's
    hashes: the same bytes each time.
    """
    words = [
        "-S",
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode",
        "unchecked-hash",
        "-s",
        str(root),
        "-p",
        "/",
    ]
    try:
        programs.run(
            [python, *words, folder], "give another one with --compile-with", {"PYTHONHASHSEED": "0"}
        )
    except ProgramFailed as error:
        raise EdgeError(f"a module cannot be compiled by {python} ({error}); leave its wheel out") from error


def find(version: str, named: str | None, programs: Programs) -> str:
    """A CPython of ``version``, such as "3.13": ``named``, else from PATH, this one, or pyenv.

    ConfigError if there is none, with the command that gets it.
    """
    for candidate in [named] if named else list(_candidates(version)):
        if candidate and _is(candidate, version, programs):
            return candidate
    if named:
        raise ConfigError(
            f"--compile-with {named} is no CPython {version}, which the board has; give one that is"
        )
    raise ConfigError(
        f"no CPython {version} was found, which compiles the modules for the board; install it (apt install "
        f"python{version}, or pyenv install {version}), name one with --compile-with, or pass --no-bytecode"
    )


def _candidates(version: str) -> Iterator[str | None]:
    yield shutil.which(f"python{version}")
    yield sys.executable
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for path in sorted(root.glob(f"versions/{version}.*/bin/python{version}")):
        yield str(path)


def _is(candidate: str, version: str, programs: Programs) -> bool:
    try:
        return programs.run([candidate, "-I", "-c", _ASK], "").split() == ["CPython", version]
    except EdgeError:  # a command of a version manager that only says "not activated"
        return False
