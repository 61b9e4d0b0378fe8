"""``emotion-bench pipeline``: a video or camera through all rooms to a sink, stage by stage."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness, scenes
from benchmarks.fingerprint import fingerprint
from benchmarks.report import Report, figure, measurement, report
from benchmarks.stages import Stages, instrument
from edge import build
from edge.config import SOURCE_HELP, Config
from edge.data import Frame
from edge.pipeline import Pipeline

HELP = "frames a second from source to sink, with the time of each stage"
WARM_UP = 10  # frames


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", metavar="SOURCE", help=f"{SOURCE_HELP} (default: a moving face)")
    harness.add_settings(parser)
    parser.add_argument(
        "--frames", type=harness.count, default=1000, help="most frames (default: %(default)s)"
    )
    parser.add_argument("--luma", action="store_true", help="the built-in scene as a camera's luma plane")
    parser.add_argument(
        "--every-frame", action="store_true", help="a step of the network in each frame of the built-in scene"
    )


def run(args: argparse.Namespace) -> Report:
    """Measure one pass over the source."""
    wanted = harness.settings(args, address=args.source)
    with harness.rig(wanted) as (bundle, pipeline):
        stages, counts = Stages(), {"frames": 0, "faces": 0, "estimates": 0}
        if args.source:
            with build.frames(wanted, lambda: None) as opened:
                seconds = measure(pipeline, islice(opened, args.frames), stages, counts)
                counts["dropped"] = opened.dropped
        else:
            seconds = measure(pipeline, _built_in(args, bundle.manifest["step_hz"]), stages, counts)
        inputs = [Path(args.source)] if args.source and Path(args.source).is_file() else []
        made = fingerprint(bundle, inputs, harness.command_line(), 0)
        return report(
            "pipeline", made, _measurements(stages), _figures(stages, seconds, counts),
            counts=counts, notes=[f"{pipeline.recognizer.engine.serves}; {_about(wanted)}"],
        )  # fmt: skip


def measure(pipeline: Pipeline, frames: Iterable[Frame], stages: Stages, counts: dict[str, int]) -> float:
    """Take ``frames`` through the pipeline; seconds from the first to the last that counts."""
    instrument(pipeline, stages)
    source = iter(stages.each("decode", frames))
    for frame in islice(source, WARM_UP):
        pipeline.step(frame)
    stages.clear()
    began = started = time.perf_counter()
    for frame in source:
        estimates = pipeline.step(frame)
        done = time.perf_counter()
        stages.frame_done(done - started)
        started = done
        counts["frames"] += 1
        counts["faces"] += len(estimates)
        counts["estimates"] += sum(estimate.fresh for estimate in estimates)
    return started - began


def _built_in(args: argparse.Namespace, step_hz: float) -> Iterable[Frame]:
    frames = scenes.one_face()
    period_s = 1 / step_hz if args.every_frame else 1 / 30
    return scenes.Looped(scenes.luma(frames) if args.luma else frames, period_s, args.frames).frames()


def _measurements(stages: Stages) -> list[dict[str, Any]]:
    whole = measurement("frame", harness.in_rounds([1e3 * total for total in stages.totals]))
    parts = stages.milliseconds()
    return [whole, *(measurement(n, harness.in_rounds(v), group="stage") for n, v in parts.items())]


def _figures(stages: Stages, seconds: float, counts: dict[str, int]) -> list[dict[str, Any]]:
    working = [
        total - frame.get("decode", 0.0) for total, frame in zip(stages.totals, stages.frames, strict=True)
    ]
    return [
        figure("frames a second, decoding included", counts["frames"] / seconds, "fps"),
        figure("frames a second, decoding left out", 1 / float(np.mean(working)), "fps"),
        figure("network steps a second", counts["estimates"] / seconds, "per s"),
        figure("faces in a frame", counts["faces"] / max(counts["frames"], 1)),
        figure("sum of the stages", stages.reconciled(), "of the whole", ">= 0.98"),
    ]  # fmt: skip


def _about(wanted: Config) -> str:
    about = wanted.detector
    return f"detector {about.kind}, {about.input_width} pixels wide, every {about.every} frames"
