"""The cache folder, for files that can be created or downloaded again."""

from __future__ import annotations

import os
from pathlib import Path

from edge.errors import EdgeError


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/emotion-edge``, or ``~/.cache/emotion-edge``; it may not exist yet.

    A relative ``$XDG_CACHE_HOME`` is ignored, as the XDG Base Directory Specification requires.

    Raises:
        EdgeError: the user has no home folder and no ``$XDG_CACHE_HOME``.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if folder.is_absolute():
        return folder / "emotion-edge"
    try:
        return Path.home() / ".cache" / "emotion-edge"
    except RuntimeError as error:
        raise EdgeError(
            f"no home folder for the cache ({error}); set XDG_CACHE_HOME to an absolute path"
        ) from error
