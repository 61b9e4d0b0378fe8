"""SHA-256 of files, read in chunks."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

_CHUNK_BYTES = 1 << 20


def sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits; OSError if it cannot be read."""
    with path.open("rb") as file:
        return digest(file)


def digest(file: BinaryIO) -> str:
    """SHA-256 of the rest of an open file, 64 hex digits."""
    state = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        state.update(chunk)
    return state.hexdigest()
