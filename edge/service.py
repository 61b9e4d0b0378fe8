"""The run loop: processes a source to its end; under systemd with reload, watchdog and restart."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

from edge import session
from edge.bundle import Bundle
from edge.capture.addresses import without_password
from edge.capture.regular_file import shown
from edge.config import Config
from edge.errors import ConfigError, EdgeError, RestartNeeded, SinkClosed
from edge.health import endpoint
from edge.health.load_governor import LoadGovernor, hottest
from edge.health.metrics import Health
from edge.health.restart import before_restart, restarts_here
from edge.health.summary import Summary
from edge.protocols import PictureSink
from edge.sinks.outputs import options_text
from edge.system import signals
from edge.system.notify import Supervisor
from edge.system.progress import with_progress
from edge.system.standard_streams import stdout_is_closed

if TYPE_CHECKING:  # imported only by a run that draws trajectories
    from edge.sinks.trajectory import TrackSummary

log = logging.getLogger("edge")
T = TypeVar("T")
PROOF = 30  # frames after which new settings count as working; a clip's writer opens at the twelfth


def run(config: Config, reread: Callable[[], Config] | None = None) -> list[TrackSummary]:
    """Read the source to its end, or until interrupted, and write to every configured output.

    Under a supervisor, SIGHUP reads the configuration again through ``reread`` and starts over with it. If it
    cannot be read, opened or used for its first frames, the previous one stays in force. Returns the summary
    of each track if output.trajectory is set, else an empty list. KeyboardInterrupt, as other ends, closes
    every output first.
    """
    if config.output.summary == "json" and stdout_is_closed():
        raise ConfigError("output.summary is json, but standard output is closed; open it, or take text")
    service = _Service(config, reread)
    broken = False
    try:
        with signals.held():
            return service.run()
    except RestartNeeded as error:
        before_restart(service.config.recovery.reboot, str(error))
        raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt(service.left) from None
    except EdgeError:
        broken = True
        raise
    finally:
        service.summarize(advise=not broken)


class _Parts(ExitStack):
    """The open parts of a job. No signal disturbs their closing, which completes the outputs."""

    def __exit__(self, *error: Any) -> None:
        with signals.held(inf):
            super().__exit__(*error)


class _Job:
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
            "drops": lambda: {"newer frame": frames.dropped, **frames.bad},
            "recovery": lambda: dict(frames.rungs),
            "load": self._governor.figures,
            "restarts": restarts_here,
        }
        self._serves = parts.engine.serves

    @property
    def status(self) -> str:
        """One line for `systemctl status`."""
        return f"{shown(without_password(self._parts.config.source.address))}, {self._serves}"

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
        dropped, seen = self._parts.frames.dropped, self._pipeline.tracker.seen
        return Summary.of(self._health, dropped, run_s, self._parts.engine.serves, seen)

    def _improve(self) -> None:
        """Change to a faster engine if one was found meanwhile, and say what serves."""
        self._parts.improve()
        if self._serves != (serves := self._parts.engine.serves):
            self._serves = serves
            self._tell(self.status)

    def _alive(self) -> None:
        """Report that the loop is alive: it works, or waits for a camera that is being reopened."""
        self._endpoint.publish()
        if self._beat():
            self._parts.frames.leave()


class _Service:
    """Runs a job, and a new one after each SIGHUP; ``config`` is that of the current job."""

    def __init__(self, config: Config, reread: Callable[[], Config] | None) -> None:
        self.config = config
        self._job: _Job | None = None
        self._previous: Config | None = None  # to return to until the current job is proven
        self._next: Config | None = None  # read at SIGHUP; replaces ``config`` when the frame loop ends
        self._reread = reread
        self._supervisor = Supervisor()

    def run(self) -> list[TrackSummary]:
        """Run jobs until one ends by itself."""
        with _Parts() as parts:
            job = self._start(self.config, parts)
            self._supervisor.ready(job.status)
            while True:
                try:
                    rows = job.work()
                except RestartNeeded:
                    raise
                except Exception as error:  # even a bug in this program: the previous settings did work
                    if self._previous is None or job.proven:
                        raise
                    job = self._roll_back(error, self._previous, parts)
                    continue
                if self._next is None:
                    self._supervisor.stopping()
                    return rows
                job = self._reload(self._next, parts)

    @property
    def left(self) -> str:
        """What an interrupted run has left."""
        if self._job is None or self._job.summary() is None:
            return "no frame was processed"
        return "the output so far has been written"

    def summarize(self, advise: bool) -> None:
        """Report what the last job did, if it processed a frame; ``advise``: what to try without a face."""
        summary = self._job.summary() if self._job is not None else None
        if summary is not None:
            summary.report(self.config.output.summary, self.config.tracker.confirm, advise)

    def _reload(self, config: Config, parts: ExitStack) -> _Job:
        """A job with the new ``config``, or with the previous one if the new one cannot be opened."""
        self._previous, self.config, self._next = self.config, config, None
        with self._supervisor.reloading():
            parts.close()  # first, because both may use the same camera and the same port
            try:
                job = self._start(config, parts)
            except Exception as error:
                return self._roll_back(error, self._previous, parts)
            log.info("the configuration was reloaded")
            self._supervisor.status(job.status)
            return job

    def _roll_back(self, error: Exception, previous: Config, parts: ExitStack) -> _Job:
        """A job with the ``previous`` configuration; raises if that cannot be opened any more."""
        log.error("the old configuration stays: %s", error, exc_info=not isinstance(error, EdgeError))
        parts.close()
        self.config, self._previous = previous, None
        job = self._start(previous, parts)
        self._supervisor.status(job.status)
        return job

    def _start(self, config: Config, parts: ExitStack) -> _Job:
        self._supervisor.progress()  # a start may take as long as two beats, and a reload may need two starts
        with ExitStack() as stack:
            job = _Job(config, self._beat, self._supervisor.status, stack)
            parts.push(stack.pop_all())
            self._job = job
            return job

    def _beat(self) -> bool:
        """Send a heartbeat; True if the loop is to end because another configuration waits."""
        self._supervisor.progress()
        signals.check()
        if self._reread is not None and signals.reload_requested():
            try:
                self._next = self._reread()
            except EdgeError as error:  # without losing a frame
                log.error("the old configuration stays: %s", error)
        return self._next is not None


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
