"""``emotion-bench age``: how old an estimate is when it is there, with a camera that waits for nobody.

Open loop: frames come at the camera's rate whether the last one is done or not, stamped with the time at
which they were due. So a stall shows in every frame that it delays (Tene, "How NOT to measure latency":
coordinated omission).

At 30 frames and 10 steps a second the network runs in every third frame, and the detector looks in every
third one: whether in the same frames is settled by the moment of the start and then holds. So each round
starts anew, one frame later than the last one did, and a run holds all of these phases alike.
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
from benchmarks.scenes.paced import Opened, PacedCamera, Watched, at_tick, busy, watch
from edge import session
from edge.__main__ import add_settings
from edge.bundle import Bundle
from edge.capture.reconnect.reconnect import Recovering
from edge.config import SOURCE_HELP, Config
from edge.errors import ConfigError, EdgeError
from edge.pipeline import Pipeline

HELP = "age of each estimate at a camera's rate, jitter and drops"
WARM_S = 0.5  # of each round, until the face is tracked and the memory of the parts is warm


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", metavar="CAMERA", help=f"{SOURCE_HELP} (default: a paced scene)")
    add_settings(parser)
    parser.add_argument(
        "--fps", type=harness.positive, default=30.0, help="of the paced scene (default: %(default)g)"
    )
    parser.add_argument(
        "--seconds", type=harness.positive, default=40.0, help="of all rounds together (default: %(default)g)"
    )
    parser.add_argument(
        "--busy", type=harness.none_or_more, default=0, metavar="N", help="processes that keep N cores busy"
    )
    scenes.add_options(parser)


def run(args: argparse.Namespace) -> Report:
    """Let the camera run for a while and note the age of everything."""
    wanted = harness.settings(args, address=args.source)
    given = refuse_what_waits(wanted, args.source)
    fps = (wanted.source.fps or 30.0) if given else args.fps
    with ExitStack() as stack:
        camera = None if given else PacedCamera(scenes.chosen(args), args.fps)
        bundle, pipeline = stack.enter_context(harness.rig(wanted))
        _refuse_too_short(args.seconds, wanted.detector.every, bundle.manifest["step_hz"], fps)
        stack.enter_context(busy(args.busy))
        seen = rounds(wanted, bundle, pipeline, stack.enter_context(frames(wanted, camera)), args.seconds)
        made = harness.ran(wanted, bundle, pipeline, [] if given else scenes.inputs(args))
    return _report(args, seen, made, pipeline.recognizer.engine.serves, not given)


def refuse_what_waits(wanted: Config, source: str | None) -> bool:
    """Whether a camera is configured; ConfigError for a source that gives its frames when it is asked."""
    address = source or wanted.source.address
    if source is None and address == "demo":
        return False
    if not session.is_live(wanted):
        raise ConfigError(
            f"age needs a camera, and {address} is none: its frames wait until they are asked for; "
            "leave it out, and pass --video FILE to have a file's frames at a camera's rate"
        )
    return True


def rounds(
    wanted: Config, bundle: Bundle, pipeline: Pipeline, opened: Opened, seconds: float
) -> list[Watched]:
    """What each round saw; all on one opening of the camera, one engine and one detector."""
    phases, count = turns(wanted.detector.every)
    began, each_s = time.monotonic(), seconds / count
    coming = iter(harness.by_seconds(opened, seconds + count * WARM_S))
    found = []
    for turn in range(count):
        at_tick(coming, bundle.manifest["step_hz"], turn % phases)
        fresh = session.pipeline(
            wanted, bundle, pipeline.detector, pipeline.recognizer.engine, list(pipeline.sinks)
        )
        seen = Watched(began)
        watch(fresh, coming, opened, seen, each_s, WARM_S)
        found.append(seen)
    return found


def turns(every: int) -> tuple[int, int]:
    """Phases between the detector's looks and the network's steps, and rounds that hold them alike."""
    phases = min(every, harness.ROUNDS)
    return phases, phases * math.ceil(harness.ROUNDS / phases)


def _refuse_too_short(seconds: float, every: int, step_hz: float, fps: float) -> None:
    """An estimate and two frames, one after the other, are the least that a round has to hold."""
    _, count = turns(every)
    least = count * max(1 / step_hz, 2 / fps)
    if seconds < least:
        raise ConfigError(
            f"--seconds {seconds:g} is too short: {count} rounds share it, and each needs an estimate; "
            f"give {math.ceil(least)} or more"
        )


def _report(
    args: argparse.Namespace, seen: list[Watched], made: dict[str, Any], serves: str, paced: bool
) -> Report:
    done = [np.diff(one.done_s.floats()) * 1e3 for one in seen]
    counts = Counter({"frames": sum(len(one.done_s.floats()) for one in seen), "dropped": 0})
    for one in seen:
        counts.update(one.lost)
    if not any(one.ages_ms.floats() for one in seen):
        raise no_estimate(counts)
    ages = measurement("age of estimates", [one.ages_ms.floats() for one in seen], group="age")
    period_ms = 1e3 / args.fps if paced else float(np.median(np.concatenate(done)))
    apart = [[float(ms) for ms in np.abs(part - period_ms)] for part in done]
    p99 = {k: None if v is None else v / period_ms for k, v in ages["summary"]["p99"].items()}
    how = f"{1e3 / period_ms:.0f} fps, {args.busy} busy processes"
    if p99["high"] is None:
        how += f"; {ages['summary']['n']} estimates are too few for the upper bound, raise --seconds"
    phases, count = turns(made["setup"]["detector_every"])
    return report(
        "age", made, [ages, measurement("jitter", apart, group="jitter")],
        [figure("p99 of age", p99, "frame periods", "<= 1.5", how)],
        counts=dict(counts),
        series=[{
            "name": "age", "unit": "ms",
            "time_s": [at for one in seen for at in one.times_s.floats()],
            "values": [ms for one in seen for ms in one.ages_ms.floats()],
        }],
        notes=[serves, f"{count} rounds with new tracks, begun 0 to {phases - 1} frames after a step is due"],
    )  # fmt: skip


def no_estimate(counts: Counter[str]) -> EdgeError:
    """The fault of a run in which no face was seen."""
    return EdgeError(
        f"{counts['frames']} frames, {counts['dropped']} dropped, and no estimate in any: no face was found "
        "for long enough; show one to the camera, or leave CAMERA and --video out for the built-in scene"
    )


@contextmanager
def frames(wanted: Config, camera: PacedCamera | None) -> Iterator[Opened]:
    """The frames of ``camera``, else of the configured one."""
    if camera is None:
        with session.frames(wanted, lambda: None) as opened:
            yield opened
    else:
        with Recovering(lambda: camera, None) as paced:
            yield paced
