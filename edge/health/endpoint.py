"""Health as JSON: in a file that is replaced atomically, or over HTTP on the loopback interface."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from edge.errors import ConfigError
from edge.health.metrics import Health
from edge.system.closing import Closing
from edge.system.output_file import OutputFile

FILE_S = 5.0  # interval of writing the file; on a memory card that is 10 MB a day
_LOOPBACK = "127.0.0.1"


class Endpoint(Closing):
    """Base of the two endpoints; publishes nothing itself."""

    def publish(self) -> None:
        """Called after every frame, and regularly while there is none."""


class HealthFile(Endpoint):
    """Writes the figures to ``path``, preferably in /run, at most once in FILE_S seconds."""

    def __init__(self, path: Path, health: Health, force: bool = False) -> None:
        self._health, self._last_s = health, float("-inf")
        try:
            self._output = OutputFile(path, force=force, small=True)
            self._output.__enter__()
        except ConfigError as error:
            raise ConfigError(f"health: {error}") from error
        try:
            self._write()  # so that an unwritable path fails before anything else starts
        except BaseException:
            self._output.close()
            raise

    def publish(self) -> None:
        """Write the figures if they are due; if the disk is full, retry at the next interval."""
        if time.monotonic() - self._last_s >= FILE_S:
            try:
                self._write()
            except ConfigError:
                self._last_s = time.monotonic()

    def _write(self) -> None:
        try:
            line = json.dumps(self._health.snapshot()) + "\n"
            # Readable by other programs even under a strict umask.
            self._output.write(line.encode(), keep=False, mode=0o644)
        except ConfigError as error:
            raise ConfigError(f"health: {error}") from error
        self._last_s = time.monotonic()

    def close(self) -> None:
        """Remove the file that this run wrote, because figures of a finished run would mislead."""
        self._output.remove()
        self._output.close()


class HealthPort(Endpoint):
    """Answers ``GET /health`` on 127.0.0.1, which only this machine can reach."""

    def __init__(self, port: int, health: Health) -> None:
        from edge.health.port import server

        try:
            self._server = server(_LOOPBACK, port, health)
        except OSError as error:
            raise ConfigError(
                f"health port {port} cannot be opened ({error.strerror}); choose another"
            ) from error
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(1.0)


def endpoint(target: str, health: Health, force: bool = False) -> Endpoint:
    """The endpoint for ``target``: a file, a port (1 to 65535), or none if it is empty.

    ``force``: replace even a file that is not ours.
    """
    if not target:
        return Endpoint()
    port = port_of(target)
    return HealthFile(Path(target), health, force) if port is None else HealthPort(port, health)


def port_of(target: str) -> int | None:
    """The port in ``target``, None for a file; ConfigError for - or a number that is not a valid port."""
    if target == "-":
        raise ConfigError("output.health is -, but it writes a file or answers at a port; give one of them")
    if not target.removeprefix("-").isdigit():
        return None
    # isdigit() accepts superscripts, which int() rejects, as it does numbers of thousands of digits.
    port = int(target) if target.isdecimal() and len(target) <= 5 else 0
    if not 0 < port < 65536:
        raise ConfigError(f"health port is {target[:20]}, expected 1 to 65535")
    return port
