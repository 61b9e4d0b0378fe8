"""The folder of a kit: made beside its place, and put there at the end; what is no kit stays."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.deploy.kit import proofs
from edge.deploy.kit.programs import full
from edge.errors import ConfigError, EdgeError

LOCK = "wheels.lock"
_OURS = (LOCK, "README.md", proofs.SBOM, proofs.SUMS, proofs.SIGNATURE, proofs.SIGNERS)
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
def beside(out: Path) -> Iterator[Path]:
    """A folder on the disk of ``out``, gone at the end."""
    if not out.parent.is_dir():
        raise ConfigError(f"{out.parent} is not a folder; make it first, or name another one with -o")
    free = shutil.disk_usage(out.parent).free
    if free < _LEAST_BYTES:
        raise ConfigError(
            f"{out.parent} has {free / 1e6:.0f} MB free, a kit needs {_LEAST_BYTES / 1e6:.0f}; "
            "free some, or name a folder on another disk with -o"
        )
    start = f".{out.name}."
    try:
        with tempfile.TemporaryDirectory(prefix=start, dir=out.parent) as part:
            yield Path(part)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):  # a write names no file
            raise EdgeError(full(out)) from error
        if not str(error.filename).startswith(str(out.parent / start)):
            raise
        reason = error.strerror or error
        raise EdgeError(f"{out.parent} cannot be written ({reason}); name another folder with -o") from error


def put(kit: Path, out: Path) -> None:
    """The finished folder in its place; a kit that was there before goes."""
    kit.chmod(0o755)
    if out.is_dir():
        before = kit.with_name("before")
        out.rename(before)
    kit.rename(out)
