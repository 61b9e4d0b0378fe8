"""Answers of an RTSP server are input like any other: bounded in size and time, whatever they hold."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture import rtsp


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that lets ``answer`` talk to each client."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            with suppress(OSError):
                while True:
                    connection = listening.accept()[0]
                    with connection, suppress(OSError):
                        connection.settimeout(20)
                        answer(connection)

        threading.Thread(target=talk, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def fault(answer: Callable[[socket.socket], None]) -> tuple[str, float]:
    """What is said of such a server, and after how many seconds."""
    with server(answer) as port:
        began_s = time.monotonic()
        said = rtsp._fault(urlsplit(f"rtsp://me:secret@127.0.0.1:{port}/1"))
        return said, time.monotonic() - began_s


def endless(start: bytes, piece: bytes, pause_s: float = 0.0) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(start)
        while True:
            connection.sendall(piece)
            time.sleep(pause_s)

    return answer


@pytest.mark.parametrize(
    ("start", "piece", "pause_s", "expected"),
    [
        (b"RTSP/1.0 200 OK\r\nX: ", b"a", 0.1, "does not answer within"),
        (b"RTSP/1.0 404 No\r\n", b"X: y\r\n", 0.0, "does not answer in RTSP"),
        (b"RTSP/1.0 404 No\r\n", b"X: " + b"y" * 70_000 + b"\r\n", 0.0, "no such stream"),
        (b"RTSP/1.0 404 No\r\nContent-Length: -5\r\n\r\n", b"y" * 10_000, 0.0, "no such stream"),
        (b"RTSP/1.0 404 No\r\nContent-Length: 999999999999\r\n\r\n", b"y" * 10_000, 0.0, "no such stream"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n", b"y", 6.0, "does not answer within"),
        (b"RTSP/1.0 200 ", b"y" * 10_000, 0.0, "no video"),
    ],
)
def test_an_answer_without_end_is_left(start: bytes, piece: bytes, pause_s: float, expected: str) -> None:
    said, took_s = fault(endless(start, piece, pause_s))
    assert expected in said
    assert took_s < rtsp.OPEN_S + 2


@given(st.binary(max_size=400))
def test_any_answer_is_one_line(answer: bytes) -> None:
    def send(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"RTSP/1.0 401 No\r\nWWW-Authenticate: Digest " + answer + b"\r\n\r\n")

    said, _ = fault(send)
    assert "\n" not in said
    assert "secret" not in said


def test_a_challenge_begins_no_header_of_its_own() -> None:
    challenge = 'Digest realm="a\r\nX: forged", nonce="b"'
    assert "\r" not in rtsp._authorization(challenge, "me", "secret", "rtsp://host/1")
