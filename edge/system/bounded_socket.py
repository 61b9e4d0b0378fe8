"""What a peer sends, within bounds of size and time: a timeout of a socket counts anew for each byte."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable


def has_head(data: bytes) -> bool:
    """Whether the head of a message (HTTP, RTSP) is complete: an empty line ends it."""
    return b"\n\r\n" in data or b"\n\n" in data


def received(
    connection: socket.socket, most_bytes: int, until_s: float, done: Callable[[bytes], bool]
) -> bytes:
    """What arrives until it is ``done``, has ``most_bytes``, or the peer closes.

    Raises TimeoutError at ``until_s`` (CLOCK_MONOTONIC), OSError if the connection fails.
    """
    data = b""
    while len(data) < most_bytes and not done(data):
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        piece = connection.recv(min(most_bytes - len(data), 65_536))
        if not piece:
            break
        data += piece
    return data
