"""A wait in a call of the system ends at a signal."""

from __future__ import annotations

import ctypes
import signal
import threading
import time

import pytest

from edge.system.waiting import result_of


def test_what_the_work_gives() -> None:
    assert result_of(lambda: 7, 10.0) == 7
    with pytest.raises(TimeoutError, match=r"^of the work$"):
        result_of(lambda: (_ for _ in ()).throw(TimeoutError("of the work")), 10.0)


def test_it_takes_no_longer_than_the_patience() -> None:
    began_s = time.monotonic()
    with pytest.raises(TimeoutError, match=r"it took more than 0\.1 s"):
        result_of(lambda: time.sleep(20), 0.1)
    assert time.monotonic() - began_s < 5


def test_a_signal_ends_a_wait_that_no_signal_interrupts() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    libc = ctypes.CDLL(None)
    main = threading.main_thread().ident or 0

    def blocked() -> None:  # getaddrinfo goes on like this after a signal
        signal.pthread_kill(main, signal.SIGINT)
        libc.sleep(20)

    began_s = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            result_of(blocked, 60.0)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began_s < 5
