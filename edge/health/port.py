"""Health over HTTP, whoever asks: few clients at a time, each within a few seconds and a few kilobytes.

Only a run with a port imports this: it takes half of the standard library with it.
"""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from edge.health.metrics import Health
from edge.system.bounded_socket import has_head, received

CLIENTS = 16  # at a time
PATIENCE_S = 5.0  # for a whole request
_HEAD_BYTES = 8192  # of a request


def server(host: str, port: int, health: Health) -> ThreadingHTTPServer:
    """A server that answers ``GET /health``; OSError if the port cannot be opened. 0 takes a free one."""
    return _Server((host, port), _handler(health))


class _Server(ThreadingHTTPServer):
    """Leaves the client that has kept its place for longest, if a new one finds none: others take no time."""

    daemon_threads = True
    request_queue_size = 64  # that wait to be accepted

    def __init__(self, *args: Any) -> None:
        self._places = threading.BoundedSemaphore(CLIENTS)
        self._clients: list[Any] = []  # their connections, oldest first
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own."""
        while not self._places.acquire(timeout=0.05):
            with suppress(OSError, IndexError):
                self._clients[0].shutdown(socket.SHUT_RDWR)
        self._clients.append(request)
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._leave(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """What the thread does."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(request)

    def _leave(self, request: Any) -> None:
        self._clients.remove(request)
        self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no fault of ours, and no traceback in the log."""


def _handler(health: Health) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "emotion-edge", ""

        def setup(self) -> None:
            super().setup()
            # The library waits for each piece anew: a client of a byte a second would never end.
            self.rfile = io.BytesIO(_head(self.connection))

        def do_GET(self) -> None:
            known = self.path.split("?")[0] in ("/", "/health")
            if not _is_local(self.headers.get("Host", "")):
                self._answer(403, {"error": "ask for 127.0.0.1"})
            else:
                self._answer(
                    200 if known else 404, health.snapshot() if known else {"error": "ask for /health"}
                )

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Do not log requests."""

    return Handler


def _head(connection: socket.socket) -> bytes:
    """The head of a request; empty if it does not arrive within the bounds."""
    try:
        head = received(connection, _HEAD_BYTES, time.monotonic() + PATIENCE_S, has_head)
    except OSError:
        head = b""
    connection.settimeout(PATIENCE_S)  # for the answer
    return head if has_head(head) else b""


def _is_local(host: str) -> bool:
    """Whether a request means this machine, by the header ``Host``.

    A page in a browser can let a name of its own lead here ("DNS rebinding"), and read the answer; but not
    an address or ``localhost``.
    """
    try:
        name = urlsplit(f"//{host}").hostname or "localhost"
        return name == "localhost" or bool(ip_address(name))
    except ValueError:
        return False
