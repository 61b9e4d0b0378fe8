"""``emotion-bench age``: how old an estimate is when it is there, with a camera that waits for nobody.

Open loop: frames come at the camera's rate whether the last one is done or not, stamped with the time at
which they were due. So a stall shows in every frame that it delays (Tene, "How NOT to measure latency":
coordinated omission).
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle, islice
from types import TracebackType

import numpy as np

from benchmarks import harness, scenes
from benchmarks.fingerprint import fingerprint
from benchmarks.report import Report, figure, measurement, report
from edge import build
from edge.capture.recovery import Recovering
from edge.capture.slot import NewestFrames
from edge.config import SOURCE_HELP, Config
from edge.data import Frame
from edge.pipeline import Pipeline
from edge.protocols import Source

HELP = "age of each estimate at a camera's rate, jitter and drops"


class PacedCamera:
    """A live source that gives ``frames`` again and again at ``fps``, each due at its own time."""

    live = True
    frame_count: int | None = None

    def __init__(self, frames: Sequence[Frame], fps: float, seconds: float) -> None:
        self._frames, self._fps, self._count = [*frames, *reversed(frames)], fps, max(round(fps * seconds), 1)

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass  # nothing is held

    def frames(self) -> Iterator[Frame]:
        """Yield each frame when it is due, or at once where that is over."""
        began = time.monotonic()
        for index, frame in enumerate(islice(cycle(self._frames), self._count)):
            due = began + index / self._fps
            time.sleep(max(due - time.monotonic(), 0.0))
            yield replace(frame, timestamp_s=due, index=index)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", metavar="CAMERA", help=f"{SOURCE_HELP} (default: a paced scene)")
    harness.add_settings(parser)
    parser.add_argument(
        "--fps", type=harness.positive, default=30.0, help="of the paced scene (default: %(default)g)"
    )
    parser.add_argument("--seconds", type=harness.positive, default=20.0, help="(default: %(default)g)")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="processes that keep N cores busy")
    parser.add_argument("--bgr", action="store_true", help="the paced scene in colour instead of luma")


def run(args: argparse.Namespace) -> Report:
    """Let the camera run for a while and note the age of everything."""
    wanted = harness.settings(args, address=args.source)
    frames = scenes.one_face() if args.bgr else scenes.luma(scenes.one_face())
    camera = PacedCamera(frames, args.fps, args.seconds)
    with harness.rig(wanted) as (bundle, pipeline), busy(args.busy):
        with _frames(wanted, args.source, camera) as opened:
            seen = watch(pipeline, opened, args.seconds)
            counts = {"frames": len(seen.done_s), "dropped": opened.dropped, **opened.bad}
        made = fingerprint(bundle, [], harness.command_line(), 0)
    ages = measurement("age of estimates", harness.in_rounds(seen.ages_ms), group="age")
    apart = 1e3 * np.diff(seen.done_s)
    period_ms = 1e3 / args.fps if not args.source else float(np.median(apart))
    jitter = measurement("jitter", harness.in_rounds(list(np.abs(apart - period_ms))), group="jitter")
    p99 = ages["summary"]["p99"]["value"]
    how = f"{1e3 / period_ms:.0f} fps, {args.busy} busy processes"
    return report(
        "age", made, [ages, jitter],
        [figure("p99 of age", p99 / period_ms, "frame periods", "<= 1.5", how)],
        counts=counts,
        series=[{"name": "age", "unit": "ms", "time_s": seen.times_s, "values": seen.ages_ms}],
        notes=[pipeline.recognizer.engine.serves],
    )  # fmt: skip


class Watched:
    """What was seen: when frames were done, and the age of each frame with a new estimate."""

    def __init__(self) -> None:
        self.done_s: list[float] = []
        self.times_s: list[float] = []
        self.ages_ms: list[float] = []


def watch(pipeline: Pipeline, frames: Recovering | NewestFrames, seconds: float) -> Watched:
    """Work on ``frames`` for ``seconds``; the first second warms up."""
    seen, began = Watched(), time.monotonic()
    for frame in frames:
        estimates = pipeline.step(frame)
        now = time.monotonic()
        if now - began > 1.0:
            seen.done_s.append(now)
            if any(estimate.fresh for estimate in estimates):
                seen.times_s.append(now - began)
                seen.ages_ms.append(1e3 * (now - frame.timestamp_s))
        if now - began >= seconds:
            frames.leave()
    return seen


@contextmanager
def busy(count: int) -> Iterator[None]:
    """``count`` processes that do nothing else than keep a core busy."""
    spinners = [multiprocessing.get_context("spawn").Process(target=_spin, daemon=True) for _ in range(count)]
    for spinner in spinners:
        spinner.start()
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.join()


def _spin() -> None:
    while True:
        pass


@contextmanager
def _frames(wanted: Config, source: str | None, camera: PacedCamera) -> Iterator[Recovering | NewestFrames]:
    if source:
        with build.frames(wanted, lambda: None) as opened:
            yield opened
    else:
        with Recovering(lambda: camera, None) as opened:
            yield opened
