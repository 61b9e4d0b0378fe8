"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from edge.errors import EdgeError


def replace(path: Path, content: bytes) -> None:
    """Write ``path`` at once or not at all, through to the disk."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError as error:
        raise EdgeError(
            f"cannot write {path} ({error.strerror}); free space or choose another folder"
        ) from error
    finally:
        fresh.unlink(missing_ok=True)
