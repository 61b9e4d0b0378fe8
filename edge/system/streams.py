"""Pipes, terminals and other devices as outputs: they are opened and written into, never replaced."""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from pathlib import Path
from select import PIPE_BUF
from typing import BinaryIO

from edge.errors import ConfigError
from edge.system import signals

log = logging.getLogger("edge")
_POLL_S = 0.1  # between two looks whether a pipe has a reader
_PATIENCE_S = 5.0  # for a reader who takes nothing of a document
_FLAGS = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY


def is_stream(found: os.stat_result) -> bool:
    """A pipe, a terminal or another device of characters; disks are none."""
    return stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode)


def open_waiting(path: Path) -> int:
    """Open ``path`` to append to it, made if there is none; a pipe waits for a reader. Raises OSError."""
    waited = False
    while True:
        try:
            return os.open(path, _FLAGS | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            if error.errno != errno.ENXIO or not path.is_fifo():
                raise
        if not waited:
            log.info("output %s waits for a reader", path)
        waited = True
        with signals.released():
            time.sleep(_POLL_S)


def write_into(path: Path, document: BinaryIO) -> None:
    """Write a document into a pipe or device. Raises OSError, and ConfigError where a pipe has no reader."""
    document.seek(0)
    rest = document.read()
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise ConfigError(f"output {path} has no reader; start one first, or give a file") from error
    try:
        last_s = time.monotonic()
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
                last_s = time.monotonic()
            except BlockingIOError:
                # A short document fits as a whole or not at all: the figures of a camera do not wait.
                if len(rest) <= PIPE_BUF or time.monotonic() - last_s > _PATIENCE_S:
                    raise
                time.sleep(_POLL_S)
    finally:
        os.close(descriptor)
