"""Supervisor against a real datagram socket."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.system.notify import Supervisor


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A bound socket and what systemd would write in $NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@emotion-edge-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0"))
        receiver.setblocking(False)
        yield receiver, name


def told(receiver: socket.socket) -> list[str]:
    """All datagrams that wait."""
    found = []
    while True:
        try:
            found.append(receiver.recv(4096).decode())
        except BlockingIOError:
            return found


def test_the_life_of_a_service(listener: tuple[socket.socket, str]) -> None:
    receiver, name = listener
    supervisor = Supervisor({"NOTIFY_SOCKET": name})
    supervisor.busy(2.5)
    assert told(receiver) == ["EXTEND_TIMEOUT_USEC=2500000\nWATCHDOG=1"]
    supervisor.ready("reads demo\nwith int8")
    with supervisor.reloading():
        started = told(receiver)
    supervisor.status("30 fps")
    supervisor.stopping()
    assert started[0] == "READY=1\nSTATUS=reads demo with int8"
    first, stamp = started[1].split("\n")
    assert first == "RELOADING=1"
    assert stamp.removeprefix("MONOTONIC_USEC=").isdecimal()
    assert told(receiver) == ["READY=1", "STATUS=30 fps", "STOPPING=1"]


def test_a_reload_that_fails_is_still_over(listener: tuple[socket.socket, str]) -> None:
    receiver, name = listener
    with pytest.raises(ValueError, match="broken"), Supervisor({"NOTIFY_SOCKET": name}).reloading():
        raise ValueError("broken")
    assert told(receiver)[-1] == "READY=1"


def test_beats_come_at_most_four_times_per_watchdog_period(listener: tuple[socket.socket, str]) -> None:
    receiver, name = listener
    now = [100.0]
    environ = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "8000000", "WATCHDOG_PID": str(os.getpid())}
    supervisor = Supervisor(environ, clock=lambda: now[0])
    assert told(receiver) == [], "no beat without progress"
    for _ in range(81):  # 10 s of frames
        supervisor.progress()
        now[0] += 0.125
    assert told(receiver) == ["WATCHDOG=1"] * 6, "at 0, 2, 4, 6, 8 and 10 s"


@pytest.mark.parametrize(
    "environ", [{}, {"WATCHDOG_USEC": "8000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "x"}]
)
def test_no_beats_without_a_watchdog_of_ones_own(
    listener: tuple[socket.socket, str], environ: dict[str, str]
) -> None:
    receiver, name = listener
    Supervisor({"NOTIFY_SOCKET": name, **environ}).progress()
    assert told(receiver) == []


def test_nobody_listens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for environ in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}):
        Supervisor(environ).ready("unheard")
    assert not caplog.records
    gone = Supervisor({"NOTIFY_SOCKET": str(tmp_path / "none"), "WATCHDOG_USEC": "1"})
    with caplog.at_level(logging.WARNING):
        gone.ready("unheard")
        gone.progress()
    assert len(caplog.records) == 1, "said once"


def test_a_full_socket_does_not_block(listener: tuple[socket.socket, str]) -> None:
    receiver, name = listener
    supervisor = Supervisor({"NOTIFY_SOCKET": name})
    for _ in range(2000):
        supervisor.status("more than a socket buffers")
    assert told(receiver)
