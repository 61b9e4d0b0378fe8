"""The folder of a kit: made beside its place, and put there at the end; what is no kit stays."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.deploy.kit import proofs
from edge.deploy.kit.programs import full
from edge.errors import ConfigError, EdgeError
from edge.system import locks, signals
from edge.system.atomic_write import hidden_name, sync
from edge.system.exchange import exchange

LOCK = "wheels.lock"
_OURS = (LOCK, "README.md", proofs.SBOM, proofs.SUMS, proofs.SIGNATURE, proofs.SIGNERS)
_BEFORE = "before"  # the kit that is being replaced, in the hidden folder
_LEAST_BYTES = 1 << 30  # what lies unpacked while the package is made, and the package


def refuse_other(out: Path) -> None:
    """ConfigError if ``out`` exists and is no kit, which would be replaced."""
    if not out.exists() and not out.is_symlink():
        return
    names = sorted(path.name for path in out.iterdir()) if out.is_dir() else [out.name]
    other = [name for name in names if name not in _OURS and not name.endswith(".deb")]
    if other or not out.is_dir() or out.is_symlink():
        raise ConfigError(
            f"{out} is no kit (it holds {', '.join(other[:3]) or 'a link'}); name another folder with -o"
        )


@contextmanager
def hidden(out: Path, part: Path, before: Callable[[Path, Path], None] | None = None) -> Iterator[None]:
    """The folder ``part`` of mode 0700 while ``out`` is made; gone at the end.

    What a killed run has left of it goes first, after ``before(part, out)`` has looked. Raises OSError, and
    ConfigError if another run makes ``out``.
    """

    def clear() -> None:
        if before:
            before(part, out)
        if part.is_dir():
            shutil.rmtree(part)

    part.mkdir(mode=0o700, exist_ok=True)
    lock = locks.LockBeside(out)
    try:
        clear()
        part.mkdir(mode=0o700)
        yield
    finally:
        with signals.held():
            clear()
            lock.release()


@contextmanager
def beside(out: Path) -> Iterator[Path]:
    """A folder on the disk of ``out``, gone at the end; the next run removes what a killed one has left.

    ConfigError if another run makes a kit for the same place, EdgeError if there is no room.
    """
    if not out.parent.is_dir():
        raise ConfigError(f"{out.parent} is not a folder; make it first, or name another one with -o")
    free = shutil.disk_usage(out.parent).free
    if free < _LEAST_BYTES:
        raise ConfigError(
            f"{out.parent} has {free / 1e6:.0f} MB free, a kit needs {_LEAST_BYTES / 1e6:.0f}; "
            "free some, or name a folder on another disk with -o"
        )
    part = hidden_name(out, "part")
    try:
        with hidden(out, part, _back):
            yield part
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):  # a write names no file
            raise EdgeError(full(out)) from error
        if not str(error.filename).startswith(str(part)):
            raise
        reason = error.strerror or error
        raise EdgeError(f"{out.parent} cannot be written ({reason}); name another folder with -o") from error


def put(kit: Path, out: Path, swap: Callable[[Path, Path], bool] = exchange) -> None:
    """The finished folder in its place; a kit that was there before goes.

    Whoever dies in between leaves the old kit or the new one: ``swap`` changes their places in one step.
    Where the file system cannot, there are two steps, and the next run undoes the first.
    """
    kit.chmod(0o755)
    for path in (*kit.iterdir(), kit):
        sync(path)
    with signals.held():
        if not out.is_dir():
            kit.rename(out)
        elif not swap(kit, out):
            out.rename(kit.with_name(_BEFORE))
            kit.rename(out)


def _back(part: Path, out: Path) -> None:
    """A kit that was taken from its place and has no successor goes back there."""
    if (part / _BEFORE).is_dir() and not out.exists():
        (part / _BEFORE).rename(out)
