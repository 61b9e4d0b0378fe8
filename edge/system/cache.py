"""The cache folder, for files that can be created or downloaded again."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path

from edge.errors import EdgeError
from edge.system.checked_file import FileRefused
from edge.system.one_line import one_line
from edge.system.ownership import (
    fix,
    make_own_folder,
    own_folder,
    refuse_strangers_above,
    refuse_strangers_within,
)

log = logging.getLogger("edge")
_ANOTHER = "set XDG_CACHE_HOME to a folder of your own"


def keep_in_cache(variable: str, folder: str, name: str = "") -> None:
    """Have a library that reads the environment ``variable`` keep its own cache in ``folder`` of ours.

    In the file ``name`` of it, if there is one. A value of the user's stays. Where ours is not to be used, as
    in ``library_cache``, the library takes its own place in the user's home.
    """
    if variable not in os.environ and (own := library_cache(folder)):
        os.environ[variable] = str(own / name)


def is_ours(folder: Path) -> bool:
    """Whether only this user can have written what ``folder`` holds, if it holds anything.

    If not, it is as if it were empty, and the log says once what to do.
    """
    try:
        with own_folder(folder):
            return True
    except FileRefused as error:
        _tell(folder, f"{error}; {fix(folder, _ANOTHER)}")
        return False
    except OSError:  # none yet, or none that can be opened
        return True


@cache
def _tell(folder: Path, why: str) -> None:
    log.warning("%s is not used as a cache: it %s", one_line(str(folder)), one_line(why))


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
    """The folder ``name`` in the cache, made if it is missing; None if it cannot be written or is not ours.

    Temporary files go to the one named "tmp", with ``tempfile`` and ``dir=``: a program leaves nothing in
    ``$TMPDIR``, which others can read. None makes ``tempfile`` take ``$TMPDIR``.
    """
    try:
        top = cache_folder()
        folder = top / name
        make_own_folder(top)
        if not is_ours(top):
            return None
        refuse_strangers_above(top)
        make_own_folder(folder)
        if not is_ours(folder):
            return None
    except FileRefused as error:
        _tell(top, f"{error}; {_ANOTHER}")
        return None
    except (OSError, EdgeError):
        return None
    return folder if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK) else None


def library_cache(name: str) -> Path | None:
    """``writable_cache`` for a library that believes what it finds there: None also for a stranger's file."""
    if (folder := writable_cache(name)) is None:
        return None
    try:
        refuse_strangers_within(folder)
    except FileRefused as error:
        _tell(folder, f"holds a file that {error}; remove that folder")
        return None
    except OSError:
        return None
    return folder
