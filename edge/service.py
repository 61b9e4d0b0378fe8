"""The run loop: processes a source to its end; under systemd with reload, watchdog and restart."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from edge import session
from edge.bundle import Bundle
from edge.capture.addresses import without_password
from edge.capture.regular_file import shown
from edge.config import Config
from edge.errors import EdgeError, RestartNeeded, SinkClosed
from edge.health import endpoint
from edge.health.load_governor import LoadGovernor, hottest
from edge.health.metrics import Health
from edge.health.restart import before_restart, restarts_here
from edge.protocols import PictureSink
from edge.sinks.outputs import options_text
from edge.system.notify import Supervisor
from edge.system.progress import with_progress

if TYPE_CHECKING:  # imported only by a run that draws trajectories
    from edge.sinks.trajectory import TrackSummary

log = logging.getLogger("edge")
PROOF = 30  # frames after which new settings count as working; a clip's writer opens at the twelfth


def run(config: Config, reread: Callable[[], Config] | None = None) -> list[TrackSummary]:
    """Read the source to its end, or until interrupted, and write to every configured output.

    Under a supervisor, SIGHUP reads the configuration again through ``reread`` and starts over with it. If it
    cannot be read, opened or used for its first frames, the previous one stays in force. Returns the summary
    of each track if output.trajectory is set, else an empty list.
    """
    with _hangup() as reload_requested:
        service = _Service(config, reread, reload_requested)
        try:
            return service.run()
        except RestartNeeded as error:
            before_restart(service.config.recovery.reboot, str(error))
            raise


class _Job:
    """The opened parts of one configuration; raises EdgeError, with nothing left open, if one fails."""

    def __init__(
        self, config: Config, beat: Callable[[], bool], tell: Callable[[str], None], stack: ExitStack
    ) -> None:
        self._beat, self._tell = beat, tell
        self._parts = parts = stack.enter_context(session.parts(config, self._alive, improving=True))
        _log_license(parts.bundle)
        self._health = Health(parts.live)
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
        frames, pipeline, started = self._parts.frames, self._pipeline, time.monotonic()
        try:
            limited = islice(frames, self._parts.config.output.max_frames)
            for frame in with_progress(limited, frames.frame_count):
                self._health.frame(frame, pipeline.step(frame))
                pipeline.spare(self._governor.adjust())
                self._improve()
                self._alive()
        except SinkClosed as closed:
            log.info("%s; stopping", closed)
        finally:
            _log_speed(pipeline.steps, frames.dropped, time.monotonic() - started)
        return _summaries(pipeline.sinks) if "trajectory" in self._parts.config.output.sinks else []

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

    def __init__(
        self, config: Config, reread: Callable[[], Config] | None, reload_requested: threading.Event
    ) -> None:
        self.config = config
        self._previous: Config | None = None  # to return to until the current job is proven
        self._next: Config | None = None  # read at SIGHUP; replaces ``config`` when the frame loop ends
        self._reread, self._reload_requested = reread, reload_requested
        self._supervisor = Supervisor()

    def run(self) -> list[TrackSummary]:
        """Run jobs until one ends by itself."""
        with ExitStack() as parts:
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
            return job

    def _beat(self) -> bool:
        """Send a heartbeat; True if the loop is to end because another configuration waits."""
        self._supervisor.progress()
        if self._reload_requested.is_set() and self._reread is not None:
            self._reload_requested.clear()
            try:
                self._next = self._reread()
            except EdgeError as error:  # without losing a frame
                log.error("the old configuration stays: %s", error)
        return self._next is not None


def _summaries(sinks: Sequence[PictureSink]) -> list[TrackSummary]:
    from edge.sinks.trajectory import TrajectorySink

    return [row for sink in sinks if isinstance(sink, TrajectorySink) for row in sink.summary()]


@contextmanager
def _hangup() -> Iterator[threading.Event]:
    """An event that SIGHUP sets under a supervisor; elsewhere a closed terminal still ends the run."""
    received = threading.Event()
    if "NOTIFY_SOCKET" not in os.environ:
        yield received
        return
    before = signal.signal(signal.SIGHUP, lambda *_: received.set())
    try:
        yield received
    finally:
        signal.signal(signal.SIGHUP, before)


def _log_license(bundle: Bundle) -> None:
    manifest = bundle.manifest
    log.info("bundle %s %s; license of its weights: %s", manifest.name, manifest.version, manifest.license)


def _log_speed(frames: int, dropped: int, seconds: float) -> None:
    log.info("%d frames in %.1f s (%.0f per second)", frames, seconds, frames / max(seconds, 1e-9))
    if dropped:
        log.info("%d frames dropped in favor of newer ones", dropped)
