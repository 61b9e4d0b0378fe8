"""The health port answers whoever asks as it should, whatever others send to it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.health import port
from edge.health.endpoint import HealthPort
from edge.health.metrics import Health


@pytest.fixture(scope="module")
def number() -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    with HealthPort(number, Health(live=True)):
        yield number


def asked(number: int, request: bytes) -> bytes:
    """What comes back for the bytes of a request."""
    with socket.create_connection(("127.0.0.1", number), 10) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while piece := client.recv(65_536):
                answer += piece
        except ConnectionResetError:  # it closed before it had read everything
            pass
        return answer


def health(number: int) -> bytes:
    return asked(number, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")


def test_it_answers_and_does_not_say_what_it_is_made_of(number: int) -> None:
    head, _, body = health(number).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK")
    assert b"Python" not in head
    assert json.loads(body)["frames"] == 0


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"", 200), (b"localhost", 200), (b"localhost:8090", 200), (b"127.0.0.1:80", 200), (b"[::1]:80", 200),
        (b"evil.example", 403), (b"evil.example:8090", 403), (b"localhost.evil.example", 403), (b"[", 403),
        (b"127.0.0.1.evil.example", 403),
    ],
)  # fmt: skip
def test_a_page_with_a_name_of_its_own_reads_nothing(number: int, host: bytes, status: int) -> None:
    answer = asked(number, b"GET /health HTTP/1.1\r\nHost: %s\r\n\r\n" % host)
    assert answer.startswith(b"HTTP/1.0 %d " % status)
    assert (b"frames" in answer) == (status == 200)


@settings(deadline=None)
@given(
    request=st.binary(max_size=300) | st.binary(max_size=60).map(lambda tail: b"GET /health HTTP/1." + tail)
)
def test_any_bytes_leave_it_answering(number: int, request: bytes) -> None:
    asked(number, request)
    assert health(number).startswith(b"HTTP/1.0 200")


@pytest.mark.parametrize(
    "request_", [b"GET /" + b"a" * 10**6, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10**5, b"\n" * 10**6]
)
def test_a_long_request_is_cut(number: int, request_: bytes) -> None:
    with socket.create_connection(("127.0.0.1", number), 10) as client, pytest.raises(ConnectionError):
        client.sendall(request_ * 20)  # more than the buffers of the system hold
    assert health(number).startswith(b"HTTP/1.0 200")


def test_slow_clients_take_neither_threads_nor_places(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "PATIENCE_S", 1.0)
    threads = threading.active_count()
    with ExitStack() as stack:
        began_s = time.monotonic()
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", number), 10)) for _ in range(200)]
        while time.monotonic() - began_s < 2:  # a byte at a time: the wait as a whole is what counts
            for client in slow:
                with suppress(OSError):
                    client.send(b"G")
            assert threading.active_count() <= threads + port.CLIENTS
            assert health(number).startswith(b"HTTP/1.0 200")  # the oldest of the slow ones is left for it
            time.sleep(0.1)
    assert threading.active_count() <= threads + port.CLIENTS


def test_a_client_that_goes_at_once_is_not_told(number: int, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(50):
        client = socket.create_connection(("127.0.0.1", number), 10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # resets
        client.sendall(b"GET /health HTTP/1.1\r\n\r\n")
        client.close()
    assert health(number).startswith(b"HTTP/1.0 200")
    assert capfd.readouterr() == ("", "")
