"""Notifications to systemd: sd_notify(3) over a UNIX datagram socket."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

log = logging.getLogger("edge")


class Supervisor:
    """The service manager behind $NOTIFY_SOCKET; without one, no method does anything.

    No method raises or blocks, so that an unreachable manager does not stop the frames. Use it only in the
    thread that processes the frames, so that no heartbeat is sent for a pipeline that hangs.
    """

    def __init__(
        self, environ: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._interval_s = _watchdog_s(environ) / 4  # so three heartbeats in a row may be lost
        self._clock = clock
        self._last_beat_s = float("-inf")
        self._failed = False

    def ready(self, status: str) -> None:
        """Report that startup has finished; ``status`` is one line for `systemctl status`."""
        self._send("READY=1", _status(status))

    def progress(self) -> None:
        """Report that a frame has passed through the whole pipeline, or that the service is idle.

        Sends WATCHDOG=1 at most every quarter of $WATCHDOG_USEC. Never call it from a timer or a separate
        thread, which would keep sending heartbeats for a stalled pipeline.
        """
        now = self._clock()
        if self._interval_s and now - self._last_beat_s >= self._interval_s:
            self._last_beat_s = now
            self._send("WATCHDOG=1")

    def busy(self, seconds: float) -> None:
        """Report that work in the start or in a reload goes on, and may take this many ``seconds`` more.

        Whoever calls it again and again must have a bound of its own.
        """
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}", "WATCHDOG=1")

    def status(self, text: str) -> None:
        """Set the line for `systemctl status`."""
        self._send(_status(text))

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Wrap a reload of the configuration; READY=1 follows even if the old one stays in force."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
        try:
            yield
        finally:
            self._send("READY=1")

    def stopping(self) -> None:
        """Report that the service is stopping."""
        self._send("STOPPING=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        import socket  # only needed under a service manager

        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            if not self._failed:
                log.warning("the service manager cannot be reached ($NOTIFY_SOCKET): %s", error.strerror)
            self._failed = True


def _address(name: str) -> str:
    """A path, or an abstract address, for which systemd writes @ instead of the leading NUL; else ""."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else ""


def _watchdog_s(environ: Mapping[str, str]) -> float:
    """The watchdog's timeout in seconds; 0 if there is none, or if it is for another process."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isdecimal() else 0.0


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.split())
