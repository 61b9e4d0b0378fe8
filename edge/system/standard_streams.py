"""Standard streams that are closed, full, or have lost their reader."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:  # loaded before anything else, so it imports little
    from collections.abc import Callable
    from typing import Any


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
        for method in ("write", "flush"):
            setattr(sys.stdout, method, _naming(getattr(sys.stdout, method), "standard output"))
            setattr(sys.stderr, method, _unheeded(getattr(sys.stderr, method)))


def stdout_is_closed() -> bool:
    """Whether nobody can see standard output, because it was closed when the program started."""
    return getattr(sys.stdout, "name", "") == os.devnull


def _naming(plain: Callable[..., Any], name: str) -> Callable[..., Any]:
    """``plain``, whose error, as on a full disk, says where it was; that of a stream has no file name."""

    def call(*given: Any) -> Any:
        try:
            return plain(*given)
        except OSError as error:
            error.filename = error.filename or name
            raise

    return call


def _unheeded(plain: Callable[..., Any]) -> Callable[..., Any]:
    """``plain`` without its errors: a terminal that was closed ends no work whose messages it showed."""

    def call(*given: Any) -> Any:
        with suppress(OSError):
            return plain(*given)

    return call


def drop_unwritten() -> OSError | None:
    """Drop what standard output does not take and return why: the interpreter would try it again at exit."""
    try:
        sys.stdout.flush()
    except OSError as error:
        forget_stdout()
        return error
    except ValueError:  # it was closed
        pass
    return None


def finish() -> None:
    """At exit, where the interpreter would print a traceback and change the code: end with one line and 2."""
    error = drop_unwritten()
    if error is not None and not isinstance(error, BrokenPipeError):
        with suppress(OSError):
            os.write(2, f"error: {error.filename}: {error.strerror}\n".encode())
        os._exit(2)


def forget_stdout() -> None:
    """Lead standard output to /dev/null once its reader has gone.

    The interpreter writes what is left in the buffer at exit, which would fail, or wait for ever.
    """
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
