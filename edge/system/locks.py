"""Locks, so that two runs do not write one output: advisory ones, which end with their process."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from edge.errors import ConfigError
from edge.system.atomic_write import hidden_name

_LOCKS = Path("/proc/locks")
_TRIES = 100


def lock(descriptor: int, path: Path) -> None:
    """Lock an open file until it is closed; ConfigError says that another run writes the output ``path``.

    File systems without locks are used without.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigError(
            f"output {path} is being written by another run{_holder(descriptor)}; "
            "choose another name, or end that run"
        ) from error
    except OSError:
        return


def refuse_locked(held: Path, path: Path) -> None:
    """Raise ConfigError if another run writes the output ``path``: it has locked the file ``held``."""
    try:
        descriptor = os.open(held, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # none, or not ours to read
        return
    try:
        lock(descriptor, path)
    finally:
        os.close(descriptor)


def name_beside(path: Path) -> Path:
    """The file that ``LockBeside`` locks."""
    return hidden_name(path, "lock")


class LockBeside:
    """A lock for a file that is replaced: on ``.NAME.lock`` beside it, which is removed at the end."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError if another run has the lock, or no lock file can be made."""
        self._name = name_beside(path)
        for _ in range(_TRIES):
            self._descriptor = self._open(path)
            try:
                lock(self._descriptor, path)
                if self._is_there():
                    break
            except BaseException:
                os.close(self._descriptor)
                raise
            os.close(self._descriptor)  # its owner removed it between our two calls
        else:
            raise ConfigError(f"output {path} cannot be locked: other runs come and go; choose another")
        try:
            refuse_locked(path, path)  # by a run that lets it grow
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Remove the lock file if it is the one that we opened and empty, as ours are; then unlock."""
        if self._is_there() and os.fstat(self._descriptor).st_size == 0:
            with suppress(OSError):
                self._name.unlink()
        os.close(self._descriptor)

    def _open(self, path: Path) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        try:
            descriptor = os.open(self._name, flags, 0o666)
        except OSError as error:
            way = "free space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "remove that"
            raise ConfigError(
                f"output {path} cannot be locked: {self._name.name} cannot be opened ({error.strerror}); "
                f"{way}, or choose another folder"
            ) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise ConfigError(
                f"output {path} cannot be locked: {self._name.name} is no file; remove it, "
                "or choose another folder"
            )
        return descriptor

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.lstat(self._name), os.fstat(self._descriptor))
        except OSError:
            return False


def _holder(descriptor: int) -> str:
    """`` (process 1234)`` from the kernel's list of locks, or nothing where that is not to be had."""
    inode = str(os.fstat(descriptor).st_ino)
    with suppress(OSError, ValueError):
        for line in _LOCKS.read_text().splitlines():
            words = line.split()
            if words[1] == "FLOCK" and words[5].split(":")[-1] == inode and int(words[4]) > 0:
                return f" (process {words[4]})"
    return ""
