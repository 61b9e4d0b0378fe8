"""Where the estimates go."""

from __future__ import annotations

import os
from pathlib import Path

from edge.errors import ConfigError


class SinkClosed(Exception):
    """The reader of a sink has gone (``emotion-edge run | head``): a normal end, not a fault.

    The main loop catches it, closes everything and exits with 0.
    """


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
