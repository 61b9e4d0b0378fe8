"""One JSON object per estimate, one per line."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from edge.data import EmotionEstimate, Frame
from edge.errors import ConfigError
from edge.sinks import SinkClosed, check_writable
from edge.system.clock import WallClock

SCHEMA = "emotion-edge/1"


class JsonlSink:
    """Write fresh estimates (all with ``every_frame``) to ``path``, or to stdout for ``-``.

    The file is overwritten, but under a supervisor, which starts the program again and again, it goes on.
    Every line is flushed. Raises ConfigError where the path cannot be written and SinkClosed where the
    reader of a pipe has gone.
    """

    def __init__(
        self, path: str, labels: Sequence[str], every_frame: bool = False, clock: WallClock | None = None
    ) -> None:
        """``labels`` are the K names of the probabilities; the file is opened on entering.

        With a ``clock``, for a camera, lines carry the wall-clock time as well, and whether it is sure.
        """
        self._clock = clock
        self._path = path
        self._labels = tuple(labels)
        self._every_frame = every_frame
        self._file: TextIO | None = None
        if path != "-":
            check_writable(Path(path))

    def __enter__(self) -> JsonlSink:
        self._file = sys.stdout if self._path == "-" else _open(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None and self._path != "-":
            # Every line was flushed, so a failure here loses nothing that was not reported before.
            with contextlib.suppress(OSError):
                self._file.close()
        self._file = None

    def write(self, frame: Frame, estimates: Sequence[EmotionEstimate]) -> None:
        """Write one line for each estimate."""
        for estimate in estimates:
            if estimate.fresh or self._every_frame:
                self._line(json.dumps(record(frame, estimate, self._labels) | self._wall_time(estimate)))

    def _wall_time(self, estimate: EmotionEstimate) -> dict[str, Any]:
        if self._clock is None:
            return {}
        utc, sure = self._clock.at(float(estimate.timestamp_s))
        return {"utc": utc, "utc_sure": sure}

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


def record(frame: Frame, estimate: EmotionEstimate, labels: Sequence[str]) -> dict[str, Any]:
    """The JSON object of one estimate: seconds and pixels as in EmotionEstimate, rounded."""
    return {
        "schema": SCHEMA,
        "timestamp_s": round(float(estimate.timestamp_s), 4),
        "frame": frame.index,
        "track_id": estimate.track_id,
        "box": [round(float(value), 1) for value in estimate.box_xyxy],
        "label": estimate.label,
        "probabilities": {
            name: round(float(p), 4) for name, p in zip(labels, estimate.probabilities, strict=True)
        },
        "warm": estimate.warm,
        "fresh": estimate.fresh,
    }


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
    """Whether a kill or a full disk left half a line; it is left to stand alone, the next one is whole."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _forget_stdout() -> None:
    # The interpreter flushes stdout once more at its end, which would complain about the same pipe.
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
