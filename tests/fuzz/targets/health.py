"""The health endpoint: whatever a client on this machine sends, it gets an answer in HTTP or none."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from random import Random

from fuzz.targets.base import Target

from edge.health import port
from edge.health.metrics import Health

HEALTH = Health(live=True)
STRANGER = b"evil.example"


def run(data: bytes) -> bool:
    ours, client = socket.socketpair()
    with ours, client:
        for end in (ours, client):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            end.settimeout(1.0)
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        with suppress(OSError):  # as the server does for a client that has gone
            port._handler(HEALTH)(ours, ("127.0.0.1", 1), None)  # type: ignore[arg-type]
        ours.close()
        answer = _all_of(client)
    assert len(answer) < 20_000, f"an answer of {len(answer)} bytes"
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.0 200 "):
        return False
    assert json.loads(body)["schema"].startswith("emotion-edge-health"), body
    assert b"Content-Type: application/json" in head, head
    first = data.partition(b"\r\n")[2]  # header; a line that is none hides those after it
    assert not first.startswith((b"Host: " + STRANGER + b"\r\n", b"Host: " + STRANGER + b"\n")), (
        "another host"
    )
    return True


def _all_of(client: socket.socket) -> bytes:
    parts = []
    with suppress(ConnectionError):  # it was closed with something unread
        while part := client.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def seeds() -> Iterator[bytes]:
    yield b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    yield b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n"
    yield b"GET / HTTP/1.0\r\n\r\n"
    yield b"GET /health\r\n\r\n"
    yield b"POST /health?a=%00 HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
    yield b"GET //evil/..%2f HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"


WORDS = ("GET", "HEAD", "POST", "HTTP/1.1", "HTTP/0.9", "HTTP/2.0", "/health", "Host: localhost",
    "Host: [::1]:80", "Host: evil.example", "Content-Length:", "Expect:",
         "100-continue", "Connection: keep-alive", "\r\n\r\n", "//")  # fmt: skip


def mutate(data: bytes, rng: Random) -> bytes:
    """Another word, a long line, many headers."""
    lines = data.split(b"\r\n")
    at, what = rng.randrange(len(lines)), rng.randrange(4)
    if what == 0:
        lines[at] += b"x" * rng.choice((10, 70_000))
    elif what == 1:
        lines[at:at] = [b"A: b"] * rng.choice((1, 99, 300))
    else:
        words = lines[at].split(b" ")
        words[rng.randrange(len(words))] = rng.choice(WORDS).encode()
        lines[at] = b" ".join(words)
    return b"\r\n".join(lines)


TARGET = Target("health", run, seeds, mutate, WORDS, most_bytes=100_000)
