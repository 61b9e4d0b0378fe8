"""Atomic writing of files."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from edge.errors import ConfigError, EdgeError


def atomic_write(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write ``path`` atomically and sync it to disk; ``mode`` as in open(2), before the umask."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise EdgeError(
            f"cannot write {path} ({error.strerror}); free space or choose another folder"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()


def check_writable(path: Path, suffixes: tuple[str, ...] = ()) -> None:
    """Raise ConfigError if ``path`` cannot be written as a file; an existing file is not touched."""
    if suffixes and path.suffix.lower() not in suffixes:
        suffix = f"the suffix {path.suffix}" if path.suffix else "no suffix"
        raise ConfigError(f"output {path} has {suffix}, expected one of: {' '.join(suffixes)}")
    if path.is_dir():
        raise ConfigError(f"output {path} is a folder; give a file in it")
    if not path.parent.is_dir():
        raise ConfigError(f"output folder {path.parent} does not exist; run: mkdir -p {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigError(f"output {path} is not writable by this user; choose another path or use chmod")
