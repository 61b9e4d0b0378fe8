"""Runs a job to its end; under systemd with reload, watchdog and restart."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from math import inf
from typing import TYPE_CHECKING, Any

from edge.config import Config
from edge.errors import ConfigError, EdgeError, RestartNeeded
from edge.health.restart import before_restart
from edge.job import Job
from edge.system import signals
from edge.system.notify import Supervisor
from edge.system.standard_streams import stdout_is_closed

if TYPE_CHECKING:  # imported only by a run that draws trajectories
    from edge.sinks.trajectory import TrackSummary

log = logging.getLogger("edge")


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


class _Service:
    """Runs a job, and a new one after each SIGHUP; ``config`` is that of the current job."""

    def __init__(self, config: Config, reread: Callable[[], Config] | None) -> None:
        self.config = config
        self._job: Job | None = None
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

    def summarize(self, advise: bool) -> None:
        """Report what the last job did, if it processed a frame; ``advise``: what to try without a face."""
        summary = self._job.summary() if self._job is not None else None
        if summary is not None:
            signals.leave("the output so far has been written")
            confirm, least_px = self.config.tracker.confirm, self.config.decision.min_face_px
            summary.report(self.config.output.summary, confirm, advise, least_px)

    def _reload(self, config: Config, parts: ExitStack) -> Job:
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

    def _roll_back(self, error: Exception, previous: Config, parts: ExitStack) -> Job:
        """A job with the ``previous`` configuration; raises if that cannot be opened any more."""
        log.error("the old configuration stays: %s", error, exc_info=not isinstance(error, EdgeError))
        parts.close()
        self.config, self._previous = previous, None
        job = self._start(previous, parts)
        self._supervisor.status(job.status)
        return job

    def _start(self, config: Config, parts: ExitStack) -> Job:
        self._supervisor.progress()  # a start may take as long as two beats, and a reload may need two starts
        with ExitStack() as stack:
            job = Job(config, self._beat, self._supervisor.status, stack)
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
