"""Standard streams that are closed, full, or have lost their reader."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def keep_open() -> None:
    """Open /dev/null in place of each standard stream that is closed, as by ``2>&-`` or some launchers.

    Otherwise the next file opened would take its number, and the messages would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    # A file name may hold bytes that are no text.
    with suppress(AttributeError):
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def stdout_is_closed() -> bool:
    """Whether nobody can see standard output, because it was closed when the program started."""
    return getattr(sys.stdout, "name", "") == os.devnull


def forget_stdout() -> None:
    """Lead standard output to /dev/null once its reader has gone.

    The interpreter writes what is left in the buffer at exit, which would fail, or wait for ever.
    """
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
