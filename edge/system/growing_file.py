"""Outputs that grow line by line, in place, so that a power cut loses one line at most."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from edge.errors import ConfigError
from edge.system.locks import lock, name_beside, refuse_locked
from edge.system.output_file import check_writable
from edge.system.streams import open_waiting


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
                os.ftruncate(file.fileno(), 0)
    except BaseException:
        file.close()
        raise
    return file
