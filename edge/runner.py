"""The three jobs of the command line: run, check, demo."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from edge import build
from edge.bundle import Bundle
from edge.capture.slot import NewestFrames
from edge.config import Config
from edge.engines.ort import OrtEngine
from edge.errors import ConfigError, EdgeError, SourceError
from edge.progress import with_progress
from edge.protocols import Engine
from edge.recognition import choose
from edge.recognition.golden import reproduces
from edge.sinks import SinkClosed
from edge.sinks.trajectory import TrackSummary, TrajectorySink

log = logging.getLogger("edge")


def run(config: Config) -> list[TrackSummary]:
    """Read the source to its end, or until interrupted, and write to every sink of [output].

    Returns the summary of each track where [output] trajectory is set, else an empty list.
    """
    bundle = build.bundle(config)
    _say_licence(bundle)
    with ExitStack() as stack:
        source = stack.enter_context(build.source(config))
        step = stack.enter_context(build.engine(config, bundle))
        finder = stack.enter_context(build.detector(config, bundle.folder))
        sinks = [stack.enter_context(sink) for sink in build.sinks(config, bundle)]
        if not sinks:
            log.warning("no output is set: pass --jsonl -, --annotate OUT.mp4 or --trajectory OUT.png")
        pipeline = build.pipeline(config, bundle, finder, step, sinks)
        frames = stack.enter_context(NewestFrames(source))
        watched = with_progress(frames, source.frame_count)
        started = time.monotonic()
        try:
            pipeline.run(islice(watched, config.output.max_frames))
        except SinkClosed as closed:
            log.info("%s; stopping", closed)
        finally:
            _say_speed(pipeline.steps, frames.dropped, time.monotonic() - started)
    return [row for sink in sinks if isinstance(sink, TrajectorySink) for row in sink.summary()]


def check(config: Config) -> None:
    """Build everything, try every precision, run one frame through, and print what was found."""
    bundle = build.bundle(config)
    print(f"bundle    {bundle.manifest['name']} {bundle.manifest['version']}, all hashes right")
    for precision in bundle.precisions:
        print(f"network   {precision}: {_try_precision(bundle, precision)}")
    if config.bundle.precision == "auto":
        make = partial(_make_engine, config, bundle)
        choice = choose.measure(bundle, make, build.engine_kinds(config))
        choose.remember(bundle, choice)
        print(f"chosen    {choice}: {choice.why}")
    with ExitStack() as stack:
        source = stack.enter_context(build.source(config))
        step = stack.enter_context(build.engine(config, bundle))
        finder = stack.enter_context(build.detector(config, bundle.folder))
        outlets = build.sinks(config, bundle)
        pipeline = build.pipeline(config, bundle, finder, step, [])
        frames = stack.enter_context(NewestFrames(source))
        frame = next(iter(frames), None)
        if frame is None:
            raise SourceError(f"source {config.source.address} opened but gave no frame; try it in a player")
        pipeline.step(frame)
        height, width = frame.image.shape[:2]
        print(f"source    {config.source.address}: {width}x{height} pixels")
        print(f"detector  {type(finder).__name__}: {len(finder.detect(frame))} faces in the first frame")
        print(f"outputs   {', '.join(type(sink).__name__ for sink in outlets) or 'none'}")


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


def _make_engine(config: Config, bundle: Bundle, kind: str, precision: str, threads: int) -> Engine:
    return build.ENGINES[kind](config, bundle, precision, threads)


def _try_precision(bundle: Bundle, precision: str) -> str:
    """One line: the golden verdict of a precision on this machine, or why it does not run."""
    if precision == "int8-trt":
        return "is for TensorRT, not tried here"
    try:
        with OrtEngine(bundle.model(precision)) as engine:
            verdict = reproduces(engine, bundle)
    except EdgeError as error:
        return f"does not run here: {error}"
    return f"{'reproduces' if verdict.passed else 'does NOT reproduce'} golden.npz ({verdict})"


def _say_licence(bundle: Bundle) -> None:
    about = bundle.manifest
    log.info("bundle %s %s; licence of its weights: %s", about["name"], about["version"], about["license"])


def _say_speed(frames: int, dropped: int, seconds: float) -> None:
    log.info("%d frames in %.1f s (%.0f per second)", frames, seconds, frames / max(seconds, 1e-9))
    if dropped:
        log.info("%d frames dropped in favour of newer ones", dropped)
