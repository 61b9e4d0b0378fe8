"""``emotion-bench age``: the age of an estimate when it is ready, with a camera that does not wait.

Open loop: frames come at the camera's rate whether or not the previous one is done, stamped with the time at
which they were due. So a stall shows in every frame that it delays (Tene, "How NOT to measure latency":
coordinated omission).

At 30 frames and 10 steps a second, the network and the detector each run in every third frame. Whether these
are the same frames depends on when the run starts, and then stays so. So each round starts anew, one frame
later than the previous one, and a run contains all of these phases equally often.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from benchmarks.core import harness
from benchmarks.core.report import Report, figure, measurement, report
from benchmarks.scenes import frames as scenes
from benchmarks.scenes.paced import Camera, PacedCamera, Record, busy, no_estimate, skip_to_tick, watch
from edge.capture.reconnect.reconnect import Recovering
from edge.capture.sources import is_live
from edge.cli.options import add_settings
from edge.config import Config
from edge.errors import ConfigError
from edge.session import Parts

HELP = "tell how old each estimate is at a camera's rate, and how many frames are dropped"
WARM_S = 0.5  # of each round, until the face is tracked and memory is warm


def add_options(parser: argparse.ArgumentParser) -> None:
    """The camera, the settings, the scene, and the load beside it."""
    parser.add_argument(
        "source",
        nargs="?",
        metavar="CAMERA",
        help="a camera, as emotion-edge run takes it (default: a built-in scene at --fps)",
    )
    add_settings(parser)
    parser.add_argument(
        "--fps",
        type=harness.positive,
        default=30.0,
        help="frames a second of the built-in scene (default: %(default)g)",
    )
    parser.add_argument(
        "--seconds",
        type=harness.positive,
        default=40.0,
        help="seconds for all rounds together (default: %(default)g)",
    )
    parser.add_argument(
        "--busy",
        type=harness.none_or_more,
        default=0,
        metavar="N",
        help="keep N cores busy meanwhile (default: 0)",
    )
    scenes.add_options(parser)


def run(args: argparse.Namespace) -> Report:
    """Let the camera run for a while and record the age of each estimate."""
    config = harness.settings(args)
    given = refuse_finite(config, args.source)
    fps = (config.source.fps or 30.0) if given else args.fps
    with ExitStack() as stack:
        paced = None if given else PacedCamera(scenes.chosen(args), args.fps)
        parts = stack.enter_context(harness.open_parts(config))
        _refuse_too_short(args.seconds, config.detector.every, parts.bundle.manifest.step_hz, fps)
        stack.enter_context(busy(args.busy))
        records = rounds(parts, stack.enter_context(camera(parts, paced)), args.seconds)
        fingerprint = harness.fingerprint_of(parts, inputs=[] if given else scenes.inputs(args))
        return _report(args, records, fingerprint, parts.engine.serves, not given)


def refuse_finite(config: Config, source: str | None) -> bool:
    """Whether a camera is configured; ConfigError for a source that only gives frames on demand."""
    address = config.source.address
    if source is None and address == "demo":
        return False
    if not is_live(address):
        raise ConfigError(
            f"age needs a camera, and {address} is not one: its frames come on demand; "
            "omit it, and pass --video FILE to play a file at a camera's rate"
        )
    return True


def rounds(parts: Parts, camera: Camera, seconds: float) -> list[Record]:
    """A record of each round; all rounds share the camera, the engine and the detector."""
    phases, count = turns(parts.config.detector.every)
    began, each_s = time.monotonic(), seconds / count
    frames = iter(harness.by_seconds(camera, seconds + count * WARM_S))
    records = []
    for turn in range(count):
        skip_to_tick(frames, parts.bundle.manifest.step_hz, turn % phases)
        pipeline = parts.new_pipeline()
        pipeline.sinks = parts.sinks
        record = Record(began)
        watch(pipeline, frames, camera, record, each_s, WARM_S)
        records.append(record)
    return records


def turns(every: int) -> tuple[int, int]:
    """Phases between detections and steps of the network, and the rounds that hold them equally often."""
    phases = min(every, harness.ROUNDS)
    return phases, phases * math.ceil(harness.ROUNDS / phases)


def _refuse_too_short(seconds: float, every: int, step_hz: float, fps: float) -> None:
    """ConfigError if a round could not hold one estimate and two consecutive frames."""
    _, count = turns(every)
    least = count * max(1 / step_hz, 2 / fps)
    if seconds < least:
        raise ConfigError(
            f"--seconds {seconds:g} is too short: {count} rounds share it, and each needs an estimate; "
            f"give {math.ceil(least)} or more"
        )


def _report(
    args: argparse.Namespace, records: list[Record], fingerprint: dict[str, Any], serves: str, paced: bool
) -> Report:
    periods = [np.diff(record.done_s.floats()) * 1e3 for record in records]
    counts = Counter({"frames": sum(len(record.done_s.floats()) for record in records), "dropped": 0})
    for record in records:
        counts.update(record.lost)
    if not any(record.ages_ms.floats() for record in records):
        raise no_estimate(counts)
    ages = measurement("age of estimates", [record.ages_ms.floats() for record in records], group="age")
    period_ms = 1e3 / args.fps if paced else float(np.median(np.concatenate(periods)))
    jitter = [[float(ms) for ms in np.abs(part - period_ms)] for part in periods]
    p99 = {k: None if v is None else v / period_ms for k, v in ages["summary"]["p99"].items()}
    note = f"{1e3 / period_ms:.0f} fps, {args.busy} busy processes"
    if p99["high"] is None:
        what = "a p99" if p99["value"] is None else "the upper bound"
        note += f"; {ages['summary']['n']} estimates are too few for {what}, raise --seconds"
    phases, count = turns(fingerprint["setup"]["detector_every"])
    return report(
        "age", fingerprint, [ages, measurement("jitter", jitter, group="jitter")],
        [figure("p99 of age", p99, "frame periods", note=note)],
        counts=dict(counts),
        series=[{
            "name": "age", "unit": "ms",
            "time_s": [at for record in records for at in record.times_s.floats()],
            "values": [ms for record in records for ms in record.ages_ms.floats()],
        }],
        notes=[serves, f"{count} rounds with new tracks, begun 0 to {phases - 1} frames after a step is due"],
    )  # fmt: skip


@contextmanager
def camera(parts: Parts, paced: PacedCamera | None) -> Iterator[Camera]:
    """The configured camera, or ``paced`` in its place."""
    if paced is None:
        yield parts.frames
    else:
        with Recovering(lambda: paced, None) as recovering:
            yield recovering
