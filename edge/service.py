"""The jobs of the command line that read a source to its end: run and demo."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from edge import session
from edge.bundle import Bundle
from edge.capture.rtsp import without_password
from edge.config import Config
from edge.errors import ConfigError, EdgeError, RestartNeeded
from edge.health import endpoint
from edge.health.load_governor import Governor, hottest
from edge.health.metrics import Health
from edge.health.restart import before_restart, restarts_here
from edge.protocols import Sink
from edge.sinks import SinkClosed
from edge.system.notify import Supervisor
from edge.system.progress import with_progress

if TYPE_CHECKING:  # TrackSummary is imported by the run that draws one
    from edge.capture.reconnect.latest_frame import NewestFrames
    from edge.capture.reconnect.reconnect import Recovering
    from edge.pipeline import Pipeline
    from edge.sinks.trajectory import TrackSummary

log = logging.getLogger("edge")
PROOF = 30  # frames through new settings until they are the old ones: a clip's writer opens at the twelfth


def run(config: Config, again: Callable[[], Config] | None = None) -> list[TrackSummary]:
    """Read the source to its end, or until interrupted, and write to every sink of [output].

    Under a supervisor, SIGHUP asks ``again`` for the configuration and starts over with it; where that cannot
    be read, built or used for its first frames, the old one stays. Returns the summary of each track where
    [output] trajectory is set, else an empty list.
    """
    with _hangup() as hung_up:
        service = _Service(config, again, hung_up)
        try:
            return service.run()
        except RestartNeeded as error:
            before_restart(service.config.recovery.reboot, str(error))
            raise


@dataclass
class _Job:
    """What one configuration was built into."""

    config: Config
    frames: Recovering | NewestFrames
    pipeline: Pipeline
    governor: Governor
    health: Health
    alive: Callable[[], None]
    says: str  # one line for `systemctl status`

    @property
    def proven(self) -> bool:
        """Whether its first frames went through everything."""
        return self.pipeline.steps >= PROOF

    def work(self) -> list[TrackSummary]:
        """Take frames until the source ends or is left."""
        frames, started = self.frames, time.monotonic()
        try:
            for frame in with_progress(islice(frames, self.config.output.max_frames), frames.frame_count):
                self.health.frame(frame, self.pipeline.step(frame))
                self.pipeline.spare(self.governor.adjust())
                self.alive()
        except SinkClosed as closed:
            log.info("%s; stopping", closed)
        finally:
            _say_speed(self.pipeline.steps, frames.dropped, time.monotonic() - started)
        return _rows(self.pipeline.sinks) if self.config.output.trajectory else []


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
            self._supervisor.ready(job.says)
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
            self._supervisor.status(job.says)
            return job

    def _back(self, error: Exception, old: Config, parts: ExitStack) -> _Job:
        """The job of the ``old`` configuration once more; what cannot be built this time is raised."""
        log.error("the old configuration stays: %s", error, exc_info=not isinstance(error, EdgeError))
        parts.close()
        self.config, self._replaced = old, None
        job = self._built(old, parts)
        self._supervisor.status(job.says)
        return job

    def _built(self, config: Config, parts: ExitStack) -> _Job:
        self._supervisor.progress()  # one start may take as long as two beats, and a reload may need two
        return parts.enter_context(_job(config, self._beat))

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


@contextmanager
def _job(config: Config, beat: Callable[[], bool]) -> Iterator[_Job]:
    """Everything that ``config`` names, opened; EdgeError where it cannot be, with nothing left open."""
    session.refuse_overwriting(config)
    bundle = session.bundle(config)
    _say_licence(bundle)
    with ExitStack() as stack:
        health = Health(session.is_live(config))
        told = stack.enter_context(endpoint.outlet(config.output.health, health))
        governor = Governor(config.budget.cpu_percent, config.budget.celsius, hottest)

        def alive() -> None:
            """The loop is awake: it works, or it waits for a camera that is being brought back."""
            step.tick()
            told.tell()
            if beat():
                frames.leave()

        frames = stack.enter_context(session.frames(config, alive))
        step = stack.enter_context(session.engine(config, bundle))
        finder = stack.enter_context(session.detector(config, bundle.folder))
        sinks = [stack.enter_context(sink) for sink in session.sinks(config, bundle)]
        if not sinks:
            log.warning("no output is set: pass --jsonl -, --annotate OUT.mp4 or --trajectory OUT.png")
        health.parts = {
            "engine": lambda: step.serves,
            "drops": lambda: {"newer frame": frames.dropped, **frames.bad},
            "recovery": lambda: dict(frames.rungs),
            "load": governor.figures,
            "restarts": restarts_here,
        }
        pipeline = session.pipeline(config, bundle, finder, step, sinks)
        says = f"{without_password(config.source.address)}, {step.serves}"
        yield _Job(config, frames, pipeline, governor, health, alive, says)


def _rows(sinks: Sequence[Sink]) -> list[TrackSummary]:
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


def demo(config: Config, folder: Path) -> None:
    """Run on the virtual camera and leave a clip, a picture, the JSON lines and a table."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {folder} ({error.strerror}); pass --out DIR") from error
    output = replace(
        config.output,
        jsonl=str(folder / "estimates.jsonl"),
        annotate=str(folder / "annotated.mp4"),
        trajectory=str(folder / "trajectory.png"),
    )
    rows = run(replace(config, source=replace(config.source, address="demo"), output=output))
    print(
        f"{'face':>4}  {'from s':>6}  {'to s':>6}  {'estimates':>9}  apparent expression (mean probability)"
    )
    for row in rows:
        print(
            f"{row.track_id:>4}  {row.first_s:>6.1f}  {row.last_s:>6.1f}  {row.estimates:>9}  "
            f"{row.label} ({row.mean_probability:.2f})"
        )
    for path in (output.annotate, output.trajectory, output.jsonl):
        print(f"wrote {path}")


def _say_licence(bundle: Bundle) -> None:
    about = bundle.manifest
    log.info("bundle %s %s; licence of its weights: %s", about.name, about.version, about.license)


def _say_speed(frames: int, dropped: int, seconds: float) -> None:
    log.info("%d frames in %.1f s (%.0f per second)", frames, seconds, frames / max(seconds, 1e-9))
    if dropped:
        log.info("%d frames dropped in favour of newer ones", dropped)
