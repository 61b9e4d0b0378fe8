"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from edge.errors import EdgeError


def replace(path: Path, content: bytes, mode: int = 0o666) -> None:
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
