"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from edge.errors import ConfigError, EdgeError


def atomic_write(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write ``path`` at once or not at all, through to the disk; ``mode`` as in open(2), before the umask."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(fresh, "wb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError as error:
        raise EdgeError(
            f"cannot write {path} ({error.strerror}); free space or choose another folder"
        ) from error
    finally:
        with suppress(OSError):
            fresh.unlink()


def check_writable(path: Path, suffixes: tuple[str, ...] = ()) -> None:
    """Raise ConfigError where ``path`` cannot become a file, without touching what stands there."""
    if suffixes and path.suffix.lower() not in suffixes:
        found = path.suffix or "no suffix"
        raise ConfigError(f"output {path} has {found}; name it with one of: {' '.join(suffixes)}")
    if path.is_dir():
        raise ConfigError(f"output {path} is a folder; give the name of a file in it")
    if not path.parent.is_dir():
        raise ConfigError(f"output folder {path.parent} does not exist; make it with: mkdir -p {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigError(f"output {path} may not be written by this user; choose another path or use chmod")
