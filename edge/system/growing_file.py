"""Outputs that grow line by line, in place, so that a power cut loses one line at most."""

from __future__ import annotations

import errno
import io
import logging
import os
import stat
from contextlib import suppress
from pathlib import Path

from edge.errors import ConfigError
from edge.system.locks import lock, name_beside, refuse_locked
from edge.system.output_file import check_writable
from edge.system.streams import open_waiting

log = logging.getLogger("edge")


def open_growing(path: Path, go_on: bool = False, force: bool = False) -> io.FileIO:
    """Open an output that grows line by line: emptied, or at its end to ``go_on``; a pipe waits for a reader.

    The file is locked until it is closed. Raises ConfigError.
    """
    try:
        file = io.FileIO(open_waiting(path), "wb")
    except OSError as error:
        raise ConfigError(
            f"output {path} cannot be opened ({error.strerror}); choose another path"
        ) from error
    try:
        os.set_blocking(file.fileno(), True)
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            lock(file.fileno(), path)
            refuse_locked(name_beside(Path(os.path.realpath(path))), path)  # by a run that replaces it
            check_writable(path, (), force)  # again, because it was opened only now
            if not go_on:
                _empty(file, path)
    except BaseException:
        file.close()
        raise
    return file


def close_growing(file: io.FileIO, path: Path) -> None:
    """Close an output that grows, and wait until it is on disk.

    Raises ConfigError if it cannot get there, as when a disk was pulled out, or if it was removed meanwhile;
    under a supervisor, which rotates files, the latter is a warning, as a file that was moved always is.
    """
    status = os.fstat(file.fileno())
    try:
        if stat.S_ISREG(status.st_mode):
            _sync(file)
        file.close()
    except OSError as error:
        with suppress(OSError):
            file.close()
        raise ConfigError(
            f"output {path} cannot be written ({error.strerror}); free space or choose another path"
        ) from error
    if not stat.S_ISREG(status.st_mode) or _is(path, status):
        return
    if status.st_nlink:
        log.warning("output %s was moved or replaced during the run; its lines went with it", path)
    elif "NOTIFY_SOCKET" in os.environ:
        log.warning("output %s was removed during the run, with its lines", path)
    else:
        raise ConfigError(f"output {path} was removed during the run, with its lines; run again")


def _sync(file: io.FileIO) -> None:
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):  # file systems that cannot
            raise


def _is(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), status)
    except OSError:
        return False


def _empty(file: io.FileIO, path: Path) -> None:
    if os.fstat(file.fileno()).st_size:
        try:
            os.ftruncate(file.fileno(), 0)
        except OSError as error:  # such as a file that may only be appended to, see chattr(1)
            raise ConfigError(
                f"output {path} cannot be emptied ({error.strerror}); choose another path"
            ) from error
