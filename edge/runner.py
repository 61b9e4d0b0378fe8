"""The jobs of the command line that read a source to its end: run and demo."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from edge import build
from edge.bundle import Bundle
from edge.capture.rtsp import without_password
from edge.config import Config
from edge.errors import ConfigError, EdgeError, RestartNeeded
from edge.health import outlet
from edge.health.notify import Supervisor
from edge.health.rate import Governor, hottest
from edge.health.record import Health
from edge.health.restart import before_restart
from edge.progress import with_progress
from edge.protocols import Sink
from edge.sinks import SinkClosed

if TYPE_CHECKING:  # imported by the run that draws one
    from edge.sinks.trajectory import TrackSummary

log = logging.getLogger("edge")


def run(config: Config, again: Callable[[], Config] | None = None) -> list[TrackSummary]:
    """Read the source to its end, or until interrupted, and write to every sink of [output].

    Under a supervisor, SIGHUP asks ``again`` for the configuration and starts over with it. Returns the
    summary of each track where [output] trajectory is set, else an empty list.
    """
    supervisor = Supervisor()
    with _hangup() as hung_up:
        while True:
            try:
                rows = _run(config, supervisor, hung_up)
            except RestartNeeded:
                before_restart(config.recovery.reboot)
                raise
            if not hung_up.is_set() or again is None:
                supervisor.stopping()
                return rows
            hung_up.clear()
            with supervisor.reloading():
                config = _reloaded(config, again)


def _run(config: Config, supervisor: Supervisor, hung_up: threading.Event) -> list[TrackSummary]:
    bundle = build.bundle(config)
    _say_licence(bundle)
    with ExitStack() as stack:
        health = Health(build.is_live(config))
        told = stack.enter_context(outlet.outlet(config.output.health, health))
        governor = Governor(config.budget.cpu_percent, config.budget.celsius, hottest)

        def alive() -> None:
            """The loop is awake: it works, or it waits for a camera that is being brought back."""
            step.tick()
            supervisor.progress()
            told.tell()
            if hung_up.is_set():
                frames.leave()

        frames = stack.enter_context(build.frames(config, alive))
        step = stack.enter_context(build.engine(config, bundle))
        finder = stack.enter_context(build.detector(config, bundle.folder))
        sinks = [stack.enter_context(sink) for sink in build.sinks(config, bundle)]
        if not sinks:
            log.warning("no output is set: pass --jsonl -, --annotate OUT.mp4 or --trajectory OUT.png")
        pipeline = build.pipeline(config, bundle, finder, step, sinks)
        health.parts = {
            "engine": lambda: step.serves,
            "drops": lambda: {"newer frame": frames.dropped, **frames.bad},
            "recovery": lambda: dict(frames.rungs),
            "load": governor.figures,
        }
        supervisor.ready(f"{without_password(config.source.address)}, {step.serves}")
        started = time.monotonic()
        try:
            for frame in with_progress(islice(frames, config.output.max_frames), frames.frame_count):
                health.frame(frame, pipeline.step(frame))
                pipeline.spare(governor.adjust())
                alive()
        except SinkClosed as closed:
            log.info("%s; stopping", closed)
        finally:
            _say_speed(pipeline.steps, frames.dropped, time.monotonic() - started)
    return _rows(sinks) if config.output.trajectory else []


def _rows(sinks: Sequence[Sink]) -> list[TrackSummary]:
    from edge.sinks.trajectory import TrajectorySink

    return [row for sink in sinks if isinstance(sink, TrajectorySink) for row in sink.summary()]


def _reloaded(config: Config, again: Callable[[], Config]) -> Config:
    """The new configuration, or the old one where the new one has a fault."""
    try:
        fresh = again()
        log.info("the configuration was read again")
        return fresh
    except EdgeError as error:
        log.error("the old configuration stays: %s", error)
        return config


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
    log.info("bundle %s %s; licence of its weights: %s", about["name"], about["version"], about["license"])


def _say_speed(frames: int, dropped: int, seconds: float) -> None:
    log.info("%d frames in %.1f s (%.0f per second)", frames, seconds, frames / max(seconds, 1e-9))
    if dropped:
        log.info("%d frames dropped in favour of newer ones", dropped)
