"""The run loop: a source to its end, under systemd with reload, watchdog and restart."""

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
from edge.config import Config
from edge.errors import EdgeError, RestartNeeded, SinkClosed
from edge.health import endpoint
from edge.health.load_governor import LoadGovernor, hottest
from edge.health.metrics import Health
from edge.health.restart import before_restart, restarts_here
from edge.protocols import PictureSink
from edge.system.notify import Supervisor
from edge.system.progress import with_progress

if TYPE_CHECKING:  # TrackSummary is imported by the run that draws one
    from edge.sinks.trajectory import TrackSummary

log = logging.getLogger("edge")
PROOF = 30  # frames through new settings until they are the old ones: a clip's writer opens at the twelfth


def run(config: Config, again: Callable[[], Config] | None = None) -> list[TrackSummary]:
    """Read the source to its end, or until interrupted, and write to every output that is set.

    Under a supervisor, SIGHUP asks ``again`` for the configuration and starts over with it; where that cannot
    be read, opened or used for its first frames, the old one stays. Returns the summary of each track where
    output.trajectory is set, else an empty list.
    """
    with _hangup() as hung_up:
        service = _Service(config, again, hung_up)
        try:
            return service.run()
        except RestartNeeded as error:
            before_restart(service.config.recovery.reboot, str(error))
            raise


class _Job:
    """Everything that ``config`` names, opened; EdgeError where it cannot be, with nothing left open."""

    def __init__(self, config: Config, beat: Callable[[], bool], stack: ExitStack) -> None:
        self._beat = beat
        self._parts = parts = stack.enter_context(session.parts(config, self._alive))
        _say_license(parts.bundle)
        self._health = Health(parts.live)
        self._endpoint = stack.enter_context(endpoint.endpoint(config.output.health, self._health))
        self._governor = LoadGovernor(config.budget.cpu_percent, config.budget.celsius, hottest)
        frames, self._pipeline = parts.frames, parts.pipeline
        if not parts.sinks:
            log.warning("no output is set: pass --jsonl -, --annotate OUT.mp4 or --trajectory OUT.png")
        self._health.parts = {
            "engine": lambda: parts.engine.serves,
            "drops": lambda: {"newer frame": frames.dropped, **frames.bad},
            "recovery": lambda: dict(frames.rungs),
            "load": self._governor.figures,
            "restarts": restarts_here,
        }
        # One line for `systemctl status`.
        self.status = f"{without_password(config.source.address)}, {parts.engine.serves}"

    @property
    def proven(self) -> bool:
        """Whether its first frames went through everything."""
        return self._pipeline.steps >= PROOF

    def work(self) -> list[TrackSummary]:
        """Take frames until the source ends or is left."""
        frames, pipeline, started = self._parts.frames, self._pipeline, time.monotonic()
        try:
            wanted = islice(frames, self._parts.config.output.max_frames)
            for frame in with_progress(wanted, frames.frame_count):
                self._health.frame(frame, pipeline.step(frame))
                pipeline.spare(self._governor.adjust())
                self._alive()
        except SinkClosed as closed:
            log.info("%s; stopping", closed)
        finally:
            _say_speed(pipeline.steps, frames.dropped, time.monotonic() - started)
        return _summaries(pipeline.sinks) if "trajectory" in self._parts.config.output.sinks else []

    def _alive(self) -> None:
        """The loop is awake: it works, or it waits for a camera that is being brought back."""
        self._endpoint.publish()
        if self._beat():
            self._parts.frames.leave()


class _Service:
    """A job, and the next one after each SIGHUP; ``config`` is that of the job at hand."""

    def __init__(self, config: Config, again: Callable[[], Config] | None, hung_up: threading.Event) -> None:
        self.config = config
        self._replaced: Config | None = None  # what to go back to until the job at hand is proven
        self._fresh: Config | None = None  # what was read at SIGHUP, and waits for the frames to end
        self._again, self._hung_up = again, hung_up
        self._supervisor = Supervisor()

    def run(self) -> list[TrackSummary]:
        """Job after job until one ends by itself."""
        with ExitStack() as parts:
            job = self._built(self.config, parts)
            self._supervisor.ready(job.status)
            while True:
                try:
                    rows = job.work()
                except RestartNeeded:
                    raise
                except Exception as error:  # a fault of this program, too: it ran with the old settings
                    if self._replaced is None or job.proven:
                        raise
                    job = self._back(error, self._replaced, parts)
                    continue
                if self._fresh is None:
                    self._supervisor.stopping()
                    return rows
                job = self._reloaded(self._fresh, parts)

    def _reloaded(self, fresh: Config, parts: ExitStack) -> _Job:
        """The job of the new configuration, or that of the old one where the new one cannot be built."""
        self._replaced, self.config, self._fresh = self.config, fresh, None
        with self._supervisor.reloading():
            parts.close()  # first, because both may want the same camera and the same port
            try:
                job = self._built(fresh, parts)
            except Exception as error:
                return self._back(error, self._replaced, parts)
            log.info("the configuration was read again")
            self._supervisor.status(job.status)
            return job

    def _back(self, error: Exception, old: Config, parts: ExitStack) -> _Job:
        """The job of the ``old`` configuration once more; what cannot be built this time is raised."""
        log.error("the old configuration stays: %s", error, exc_info=not isinstance(error, EdgeError))
        parts.close()
        self.config, self._replaced = old, None
        job = self._built(old, parts)
        self._supervisor.status(job.status)
        return job

    def _built(self, config: Config, parts: ExitStack) -> _Job:
        self._supervisor.progress()  # one start may take as long as two beats, and a reload may need two
        with ExitStack() as stack:
            job = _Job(config, self._beat, stack)
            parts.push(stack.pop_all())
            return job

    def _beat(self) -> bool:
        """The loop is awake; True where it is to be left for another configuration."""
        self._supervisor.progress()
        if self._hung_up.is_set() and self._again is not None:
            self._hung_up.clear()
            try:
                self._fresh = self._again()
            except EdgeError as error:  # not a frame is lost to it
                log.error("the old configuration stays: %s", error)
        return self._fresh is not None


def _summaries(sinks: Sequence[PictureSink]) -> list[TrackSummary]:
    from edge.sinks.trajectory import TrajectorySink

    return [row for sink in sinks if isinstance(sink, TrajectorySink) for row in sink.summary()]


@contextmanager
def _hangup() -> Iterator[threading.Event]:
    """An event that SIGHUP sets, under a supervisor; elsewhere a terminal that closes ends the run."""
    asked = threading.Event()
    if "NOTIFY_SOCKET" not in os.environ:
        yield asked
        return
    before = signal.signal(signal.SIGHUP, lambda *_: asked.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGHUP, before)


def _say_license(bundle: Bundle) -> None:
    about = bundle.manifest
    log.info("bundle %s %s; license of its weights: %s", about.name, about.version, about.license)


def _say_speed(frames: int, dropped: int, seconds: float) -> None:
    log.info("%d frames in %.1f s (%.0f per second)", frames, seconds, frames / max(seconds, 1e-9))
    if dropped:
        log.info("%d frames dropped in favor of newer ones", dropped)
