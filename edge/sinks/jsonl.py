"""One JSON object per event, one per line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from edge.errors import ConfigError, EdgeError, SinkClosed
from edge.events import Event
from edge.system.closing import Closing
from edge.system.growing_file import close_growing, open_growing
from edge.system.output_file import check_writable
from edge.system.standard_streams import forget_stdout, stdout_is_closed

_encode = json.JSONEncoder(allow_nan=False).encode  # json.dumps makes a new encoder for each line


class JsonlSink(Closing):
    """Write each event as one line to ``path``, or to stdout for ``-``.

    The file is overwritten, except under a supervisor, which may restart the program: there it is continued.
    Every line is written at once. Raises ConfigError if the path may not or cannot be written and SinkClosed
    if the reader of a pipe has gone.
    """

    def __init__(self, path: str, force: bool = False) -> None:
        """The file is opened on entering the sink. ``force``: even one that is not ours."""
        self._path, self._force = path, force
        self._entered = False
        self._file: io.FileIO | None = None  # None: standard output
        if self._path != "-":
            check_writable(Path(self._path), (), force)
        elif stdout_is_closed():
            raise ConfigError("output.jsonl is -, but standard output is closed; give a file")

    def __enter__(self) -> JsonlSink:
        if self._path != "-":
            self._open(Path(self._path))
        self._entered = True
        return self

    def _open(self, path: Path) -> None:
        goes_on = "NOTIFY_SOCKET" in os.environ
        self._file = open_growing(path, goes_on, self._force)
        try:
            if goes_on and _ends_in_mid_line(path):
                self._append("\n")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file, not standard output. ConfigError if the lines are not where they should be."""
        file, self._file, self._entered = self._file, None, False
        if file is not None:
            close_growing(file, Path(self._path))

    def write(self, events: Sequence[Event]) -> None:
        """Write one line for each event."""
        if not self._entered:
            raise ValueError("JsonlSink.write outside its with block; enter the sink first")
        for event in events:
            self._append(_line(event))

    def _append(self, text: str) -> None:
        try:
            if self._file is None:
                sys.stdout.write(text)
                sys.stdout.flush()
            else:
                _whole(self._file, text.encode())
        except BrokenPipeError as error:
            if self._file is None:
                forget_stdout()
            raise SinkClosed(f"the reader of {self._path} has gone") from error
        except KeyboardInterrupt:  # the reader took nothing for seconds, and will not at the end
            if self._file is None:
                forget_stdout()
            raise
        except OSError as error:
            raise ConfigError(
                f"output {self._path} cannot be written ({error.strerror}); free space or choose another path"
            ) from error


def _line(event: Event) -> str:
    try:
        return _encode(event.to_dict()) + "\n"
    except ValueError as error:  # NaN is no JSON, and no reader takes it
        raise EdgeError(
            f"an estimate for the output jsonl holds NaN or infinity ({error}); report it"
        ) from error


def _whole(file: io.FileIO, line: bytes) -> None:
    """Append a line, or nothing of it: what a full disk took of it is cut off again."""
    before = os.fstat(file.fileno())
    try:
        while line:
            line = line[file.write(line) :]
    except BaseException:
        if stat.S_ISREG(before.st_mode):
            with contextlib.suppress(OSError):
                os.ftruncate(file.fileno(), before.st_size)
        raise


def _ends_in_mid_line(path: Path) -> bool:
    """Whether a kill or a full disk left an incomplete line; it stays, and a new line is started after it."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
