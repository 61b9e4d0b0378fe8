"""One JSON object per event, one per line."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from edge.errors import ConfigError, SinkClosed
from edge.events import Event
from edge.system.closing import Closing
from edge.system.output_file import check_writable


class JsonlSink(Closing):
    """Write each event as one line to ``path``, or to stdout for ``-``.

    The file is overwritten, except under a supervisor, which may restart the program: there it is continued.
    Every line is flushed. Raises ConfigError if the path cannot be written and SinkClosed if the reader of a
    pipe has gone.
    """

    def __init__(self, path: str) -> None:
        """The file is opened on entering the sink."""
        self._path = path
        self._file: TextIO | None = None
        if self._path != "-":
            check_writable(Path(self._path))

    def __enter__(self) -> JsonlSink:
        self._file = sys.stdout if self._path == "-" else _open(self._path)
        return self

    def close(self) -> None:
        """Close the file; standard output stays open."""
        if self._file is not None and self._path != "-":
            # Every line was flushed, so a failure here loses nothing.
            with contextlib.suppress(OSError):
                self._file.close()
        self._file = None

    def write(self, events: Sequence[Event]) -> None:
        """Write one line for each event."""
        for event in events:
            self._line(json.dumps(event.to_dict()))

    def _line(self, text: str) -> None:
        if self._file is None:
            raise ValueError("JsonlSink.write outside its with block; enter the sink first")
        try:
            self._file.write(text + "\n")
            self._file.flush()
        except BrokenPipeError as error:
            if self._path == "-":
                _forget_stdout()
            raise SinkClosed(f"the reader of {self._path} has gone") from error
        except OSError as error:
            raise ConfigError(
                f"output {self._path} cannot be written ({error.strerror}); free space or choose another path"
            ) from error


def _open(path: str) -> TextIO:
    try:
        if "NOTIFY_SOCKET" not in os.environ:
            return open(path, "w", encoding="utf-8")
        torn = _ends_in_mid_line(Path(path))
        file = open(path, "a", encoding="utf-8")  # noqa: SIM115, the sink closes it
        file.write("\n" if torn else "")
        return file
    except OSError as error:
        raise ConfigError(
            f"output {path} cannot be opened ({error.strerror}); choose another path"
        ) from error


def _ends_in_mid_line(path: Path) -> bool:
    """Whether a kill or a full disk left an incomplete line; it stays, and a new line is started after it."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _forget_stdout() -> None:
    # The interpreter flushes stdout once more at exit, which would fail on the same pipe.
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
