"""Other programs that a kit is made with: each is told with --dry-run, and fails in one line."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge.errors import DependencyError, EdgeError

_FULL = os.strerror(errno.ENOSPC)


def full(folder: Path) -> str:
    """What to say of a disk on which nothing more has room."""
    return f"{_FULL} in {folder.parent}; free some, or name a folder on another disk with -o"


class ProgramFailed(EdgeError):
    """A program ended with a fault; ``said`` is what it wrote to standard error."""

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


def need(name: str, install: str) -> None:
    """DependencyError if no program of that name is there; before work that would be for nothing."""
    if not shutil.which(name):
        raise DependencyError(f"{name} is not there; {install}")


class Programs:
    """Runs programs one after another; ``told`` prints the command line of each."""

    def __init__(self, folder: Path, told: bool = False) -> None:
        """``folder``: for their temporary files, on the disk that was chosen for the kit."""
        self._folder, self._told = folder, told

    def run(
        self,
        words: Sequence[str | Path],
        install: str,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: str = "",
    ) -> str:
        """Its standard output.

        ``environment`` is added to this program's own. ``install`` is how to get it: DependencyError if it is
        not there. ProgramFailed, an EdgeError, if it fails, but for a full disk.
        """
        command = [str(word) for word in words]
        self.tell(command)
        added = {"LC_ALL": "C.UTF-8", "TMPDIR": str(self._folder), **(environment or {})}
        try:
            done = subprocess.run(
                command, env={**os.environ, **added}, cwd=cwd, input=stdin, capture_output=True, text=True,
                errors="replace",
            )  # fmt: skip
        except OSError as error:
            raise DependencyError(f"{command[0]} cannot be run ({error.strerror}); {install}") from error
        if done.returncode and _FULL in done.stderr + done.stdout:
            raise EdgeError(f"{Path(command[0]).name} failed: {full(self._folder)}")
        if done.returncode:
            lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            last = lines[-1] if lines else f"exit code {done.returncode}"
            raise ProgramFailed(f"{Path(command[0]).name} failed: {last:.300}", done.stderr)
        return done.stdout

    def tell(self, words: Sequence[str | Path]) -> None:
        """Print a command line, if that was asked for."""
        if self._told:
            print(f"$ {shlex.join(str(word) for word in words)}")
