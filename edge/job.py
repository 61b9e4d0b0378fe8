"""One configuration at work: its open parts, the loop over the frames, and the figures for its health."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from edge import session
from edge.bundle import Bundle
from edge.capture.addresses import without_password
from edge.capture.regular_file import shown
from edge.config import Config
from edge.errors import SinkClosed
from edge.health import endpoint
from edge.health.load_governor import LoadGovernor, hottest
from edge.health.metrics import Health
from edge.health.restart import restarts_here
from edge.health.summary import Summary
from edge.protocols import PictureSink
from edge.sinks.outputs import options_text
from edge.system import signals
from edge.system.clock import is_synchronized
from edge.system.progress import with_progress

if TYPE_CHECKING:  # imported only by a run that draws trajectories
    from edge.sinks.trajectory import TrackSummary

log = logging.getLogger("edge")
T = TypeVar("T")
_CLOCK = "clock: not set by a time server yet; times are marked utc_sure = false"
PROOF = 30  # frames after which new settings count as working


class Job:
    """The opened parts of one configuration; raises EdgeError, with nothing left open, if one fails."""

    def __init__(
        self, config: Config, beat: Callable[[], bool], tell: Callable[[str], None], stack: ExitStack
    ) -> None:
        self._beat, self._tell = beat, tell
        self._parts = parts = stack.enter_context(session.parts(config, self._alive, improving=True))
        _log_license(parts.bundle)
        self._health = Health(parts.live)
        self._started_s: float | None = None  # monotonic, when the loop began
        self._endpoint = stack.enter_context(
            endpoint.endpoint(config.output.health, self._health, config.output.force)
        )
        self._governor = LoadGovernor(config.budget.cpu_percent, config.budget.celsius, hottest)
        frames, self._pipeline = parts.frames, parts.pipeline
        if not parts.sinks and not config.output.health:
            log.warning("no output is set: pass %s", options_text())
        self._health.parts = {
            "engine": lambda: parts.engine.serves,
            "building": lambda: asdict(building) if (building := parts.building) else None,
            "drops": lambda: {"newer frame": frames.dropped, **frames.bad},
            "recovery": lambda: dict(frames.rungs),
            "load": self._governor.figures,
            "restarts": restarts_here,
            "missing": self._missing,
        }
        self._serves, self._why = parts.engine.serves, ""

    @property
    def status(self) -> str:
        """One line for `systemctl status`."""
        camera = shown(without_password(self._parts.config.source.address))
        return f"{camera}, {self._serves}" if not self._why else f"no frame: {self._why}; {self._serves}"

    @property
    def proven(self) -> bool:
        """Whether enough frames have passed through all parts to trust the configuration."""
        return self._pipeline.steps >= PROOF

    def work(self) -> list[TrackSummary]:
        """Process frames until the source ends or the loop is told to leave it."""
        frames, pipeline = self._parts.frames, self._pipeline
        self._started_s = time.monotonic()
        try:
            limited = islice(frames, self._parts.config.output.max_frames)
            for frame in _interruptible(with_progress(limited, frames.frame_count)):
                self._health.frame(frame, pipeline.step(frame))
                pipeline.spare(self._governor.adjust())
                self._improve()
                self._alive()
        except SinkClosed as closed:
            log.info("%s; stopping", closed)
        return _summaries(pipeline.sinks) if "trajectory" in self._parts.config.output.sinks else []

    def summary(self) -> Summary | None:
        """What it did so far; None before its first frame."""
        if self._started_s is None or not self._pipeline.steps:
            return None
        run_s = time.monotonic() - self._started_s
        dropped, tracker = self._parts.frames.dropped, self._pipeline.tracker
        serves = self._parts.engine.serves
        return Summary.of(self._health, dropped, run_s, serves, tracker.seen, tracker.side_px)

    def _improve(self) -> None:
        """Change to a faster engine if one was found meanwhile, and say what serves."""
        self._parts.improve()
        if self._serves != (serves := self._parts.engine.serves):
            self._serves = serves
            self._tell(self.status)

    def _missing(self) -> list[str]:
        """What a run goes on without, in words: its camera, a clock that is right."""
        why = self._parts.frames.why
        clock = [] if not self._parts.live or is_synchronized() else [_CLOCK]
        return [*([f"camera: {why}"] if why else []), *clock]

    def _alive(self) -> None:
        """Report that the loop is alive: it works, or waits for a camera that is being reopened."""
        if self._started_s is not None and self._why != (why := self._parts.frames.why):
            self._why = why
            self._tell(self.status)
        self._endpoint.publish()
        if self._beat():
            self._parts.frames.leave()


def _summaries(sinks: Sequence[PictureSink]) -> list[TrackSummary]:
    from edge.sinks.trajectory import TrajectorySink

    return [row for sink in sinks if isinstance(sink, TrajectorySink) for row in sink.summary()]


def _interruptible(frames: Iterator[T]) -> Iterator[T]:
    """``frames``; only the wait for the next one may be ended by a signal, not the work on it."""
    while True:
        with signals.released():
            frame = next(frames, None)
        if frame is None:
            return
        yield frame


def _log_license(bundle: Bundle) -> None:
    manifest = bundle.manifest
    log.info("bundle %s %s; license of its weights: %s", manifest.name, manifest.version, manifest.license)
