"""The cache folder, for files that can be created or downloaded again."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from edge.errors import EdgeError


def keep_in_cache(variable: str, name: str) -> None:
    """Have a library that reads the environment ``variable`` keep its own cache at ``name`` in the folder.

    A value of the user's stays.
    """
    with suppress(EdgeError):
        os.environ.setdefault(variable, str(cache_folder() / name))


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


def writable_cache(name: str) -> Path | None:
    """The folder ``name`` in the cache, made if it is missing; None if it cannot be written.

    Temporary files go to the one named "tmp", with ``tempfile`` and ``dir=``: a program leaves nothing in
    ``$TMPDIR``, which others can read. None makes ``tempfile`` take ``$TMPDIR``.
    """
    try:
        folder = cache_folder() / name
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, EdgeError):
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None
