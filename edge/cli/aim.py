"""``emotion-edge aim``: what the camera sees of faces, live in the terminal, for whoever mounts it."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf

from edge.aiming import drawing
from edge.aiming.aim import look
from edge.aiming.hints import hints
from edge.capture.sources import help_text
from edge.cli import options
from edge.config import Config, OutputConfig
from edge.data import Face, Frame
from edge.system import signals
from edge.system.closing import Closing
from edge.system.terminal import Screen, can_redraw

HELP = "show in the terminal how well the camera sees faces; nothing is stored"
_DRAWN_S, _LINE_S = 0.1, 1.0  # least time between two drawings, and between two lines
_RATE_S = 3.0  # over which frames are counted
_NOTED_S = 10.0  # how long a message stays


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the source and the settings."""
    parser.add_argument("source", nargs="?", metavar="SOURCE", help=help_text())
    options.add_settings(parser)


def run(args: argparse.Namespace) -> None:
    """Aim until the source ends or Ctrl-C."""
    config = options.read(args).config
    aim(replace(config, output=OutputConfig()))


def aim(config: Config) -> None:
    """Measure each frame and show it: in place on a terminal, else a line a second."""
    from edge import session
    from edge.aiming.looks import Looks, Turns

    signals.leave("nothing is stored")
    shown = _Shown(config)
    with session.parts(config, shown.idle) as parts:
        shown.live = parts.live
        looks, turns = Looks(parts.detector, parts.new_wide_looks()), Turns(parts.detector)
        shown.bad = parts.frames.bad
        frames: Iterable[Frame] = parts.frames
        with shown:
            for frame in frames if parts.live else _in_time(frames):
                faces = looks.faces(frame)
                shown.show(frame, faces, turns.guess(frame, faces))


def _in_time(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Frames of a file as a camera would give them."""
    start_s: float | None = None
    for frame in frames:
        now = time.monotonic()
        if start_s is None:
            start_s = now - frame.timestamp_s
        time.sleep(min(max(start_s + frame.timestamp_s - now, 0.0), _LINE_S))
        yield frame


class _Shown(Closing):
    """What was seen last, on the screen or as lines; and the log, which would tear the drawing."""

    def __init__(self, config: Config) -> None:
        self.live = False
        self.bad: Mapping[str, int] = {}  # frames that were rejected, by fault
        self._bad_before: dict[str, int] = {}  # at the last good one
        self._config = config
        self._screen = Screen(sys.stdout) if can_redraw(sys.stdout) else None
        self._log = _LastMessage()
        self._handlers: list[logging.Handler] = []
        self._seen: tuple[Frame, Sequence[Face], int] | None = None
        self._times: deque[float] = deque()
        self._shown_s, self._whole = (
            -inf,
            True,
        )  # when the last drawing was, and whether it shows all there is

    def __enter__(self) -> _Shown:
        if self._screen:
            root = logging.getLogger()
            self._handlers, root.handlers = root.handlers, [self._log]
        return self

    def show(self, frame: Frame, faces: Sequence[Face], turn: int) -> None:
        """Take a frame, its faces and the guess of its turn; shown if it is time."""
        now = time.monotonic()
        self._seen, self._whole, self._bad_before = (frame, faces, turn), False, dict(self.bad)
        self._times.append(now)
        while now - self._times[0] > _RATE_S:
            self._times.popleft()
        if now - self._shown_s >= (_DRAWN_S if self._screen else _LINE_S):
            self._draw(self._log.text(now))

    def idle(self) -> None:
        """Say once a second that no frame comes; called more often while the camera gives bad ones."""
        now = time.monotonic()
        if now - self._shown_s < _LINE_S:
            return
        since = f"for {now - self._times[-1]:.0f} s" if self._times else "yet"
        faults = [fault for fault, count in self.bad.items() if count > self._bad_before.get(fault, 0)]
        why = f"; those that come are {' and '.join(faults)}" if faults else ""
        log = self._log.text(now)
        self._draw(f"no frame {since}{why}" + (f". {log}" if log else ""))

    def close(self) -> None:
        """Give the terminal back, and leave the last measurement there in one line."""
        if self._screen:
            self._screen.close()
            logging.getLogger().handlers = self._handlers
        if self._screen or not self._whole:
            self._screen = None
            with suppress(OSError):  # it may be gone
                self._draw("")

    def _draw(self, note: str) -> None:
        self._shown_s, self._whole = time.monotonic(), True
        least_px = self._config.decision.min_face_px
        measured, advice, rate_hz = None, [], 0.0
        if self._seen:
            frame, faces, turn = self._seen
            measured = look(frame, faces)
            advice = hints(measured, least_px, self.live, turn, self._upright(turn))
            rate_hz = (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-3)
        if self._screen:
            size = self._screen.size()
            self._screen.draw(drawing.screen(measured, rate_hz, least_px, advice, note, *size))
        elif measured:
            print(drawing.one_line(measured, rate_hz, advice, note), flush=True)
        elif note:
            print(note, flush=True)

    def _upright(self, turn: int) -> int:
        """What source.rotate would have to be, which comes before source.mirror."""
        source = self._config.source
        return (source.rotate + (-turn if source.mirror else turn)) % 360


class _LastMessage(logging.Handler):
    """Keeps the last message of the log for some seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._text, self._at_s = "", -inf

    def emit(self, record: logging.LogRecord) -> None:
        """Keep ``record`` in place of the one before."""
        self._text, self._at_s = record.getMessage(), time.monotonic()

    def text(self, now: float) -> str:
        """The message, or "" if it is old."""
        return self._text if now - self._at_s < _NOTED_S else ""
