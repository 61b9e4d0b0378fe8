"""A wait that a signal ends at once, even within a call of the system that no signal interrupts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def result_of(work: Callable[[], T], patience_s: float) -> T:
    """What ``work`` returns or raises; it runs in a thread of its own, and is left behind at a signal.

    The look-up of a host's name is such a call: it takes tens of seconds where no server answers. Raises
    TimeoutError after ``patience_s`` seconds.
    """
    from concurrent.futures import Future
    from concurrent.futures import TimeoutError as Late  # not the built-in one before Python 3.11

    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(patience_s)
    except Late:
        if future.done():  # its own
            raise
        raise TimeoutError(f"it took more than {patience_s:g} s") from None
