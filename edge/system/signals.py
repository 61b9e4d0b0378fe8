"""Ending signals: Ctrl-C, SIGTERM and SIGHUP end a command once, at a moment at which nothing is lost.

A signal raises KeyboardInterrupt in the main thread, but not everywhere: not inside an import, which would
report a missing library instead, nor inside a callback of a library, which would drop it, nor while an output
is being written or closed. There it is noted, and raised afterwards. A program calls ``install`` first; in
another program, such as a user of the library, nothing here has any effect.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from math import inf
from types import CodeType, FrameType

# This module is loaded before any other of a program, so it imports little.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STEP_S = 2.0  # after this long, work that was not to be disturbed counts as hung and is interrupted
FORCED_S = 10.0  # a signal this long after the first one ends the process at once
_RETRY_S = 0.02


class _State:
    """Of this process; signal handlers exist once per process."""

    noted_s = inf  # monotonic, of the first ending signal
    raising = False  # whether a signal may raise at all
    raised = False
    patience_s = 0.0  # how long the work in progress may go on after a signal
    reload = False  # SIGHUP arrived under a supervisor
    left = ""  # what an interrupted command has left, in words


_state = _State()
_callbacks: set[CodeType] = set()


def install() -> None:
    """Take over the ending signals, but not those that were ignored from the start, as under nohup(1).

    Under a supervisor SIGHUP requests a reload instead. Until ``raising`` is entered, signals are only noted.
    """
    global _state
    _state = _State()
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _deliver)
    if "NOTIFY_SOCKET" in os.environ:
        signal.signal(signal.SIGHUP, _reload)
    signal.signal(signal.SIGALRM, _deliver)


def installed() -> bool:
    """Whether this process has called ``install``."""
    return signal.getsignal(signal.SIGALRM) is _deliver


def pending() -> bool:
    """Whether an ending signal has arrived."""
    return _state.noted_s < inf


def reload_requested() -> bool:
    """Whether SIGHUP has requested a reload since the last call."""
    requested, _state.reload = _state.reload, False
    return requested


def leave(words: str) -> None:
    """Say what the command has left if it is interrupted from now on."""
    _state.left = words


def left() -> str:
    """The words of the last ``leave``, or ""."""
    return _state.left


def check() -> None:
    """Raise KeyboardInterrupt if a signal has arrived, even if an earlier exception was lost on its way."""
    if pending() and _state.raising:
        _state.raised = True
        raise KeyboardInterrupt


@contextmanager
def raising() -> Iterator[None]:
    """From here on a signal raises KeyboardInterrupt; after the block it is only noted."""
    _state.raising = True
    try:
        check()
        yield
    finally:
        _state.raising = False
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def held(patience_s: float = STEP_S) -> Iterator[None]:
    """Do not disturb the block for up to ``patience_s`` seconds after a signal; raise at its end."""
    before, _state.patience_s = _state.patience_s, max(patience_s, _state.patience_s)
    try:
        yield
    finally:
        _state.patience_s = before
    if not before:
        check()


@contextmanager
def released() -> Iterator[None]:
    """Within ``held``: a block, such as a wait for the next frame, that a signal may end."""
    before, _state.patience_s = _state.patience_s, 0.0
    try:
        check()
        yield
    finally:
        _state.patience_s = before


def callback(function: F) -> F:
    """Decorate a function that a library calls which drops its exceptions: not raised inside for STEP_S."""
    _callbacks.add(function.__code__)
    return function


def ignore() -> None:
    """Ignore further signals. The interpreter's own end would otherwise restore their deadly defaults."""
    for number in (*ENDING, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def _deliver(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if number != signal.SIGALRM:
        _repeated(now)
        _state.noted_s = min(_state.noted_s, now)
    if not _state.raising or _state.raised:
        return
    patience_s = max(_state.patience_s, STEP_S if _in_callback(frame) else 0.0)
    if _importing(frame) or now - _state.noted_s < patience_s:
        if patience_s < inf:
            signal.setitimer(signal.ITIMER_REAL, _RETRY_S)
        return
    _state.raised = True
    raise KeyboardInterrupt


def _repeated(now: float) -> None:
    """Say that the end takes time; give up after ten seconds, since a driver or disk may hang for ever."""
    if not pending():
        return
    if now - _state.noted_s >= FORCED_S:
        os.write(2, b"\nnot everything could be closed; outputs may be incomplete\n")
        os._exit(130)
    if now - _state.noted_s >= 0.5:  # a terminal and its shell may both send a signal
        os.write(2, b"\nstill closing the outputs\n")


def _reload(number: int, frame: FrameType | None) -> None:
    _state.reload = True


def _importing(frame: FrameType | None) -> bool:
    """Whether the main thread is inside an import statement."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _in_callback(frame: FrameType | None) -> bool:
    """Whether the main thread is inside a function that was decorated as a ``callback``."""
    while frame is not None:
        if frame.f_code in _callbacks:
            return True
        frame = frame.f_back
    return False
