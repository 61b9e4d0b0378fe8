"""``emotion-bench pipeline``: a video or camera through all rooms to a sink, stage by stage."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.commands.model import step_feeds
from benchmarks.core import harness, node_profile
from benchmarks.core.report import Report, figure, measurement, report
from benchmarks.core.stages import Stages, instrument
from benchmarks.scenes import frames as scenes
from edge import session
from edge.__main__ import add_settings
from edge.bundle import Bundle
from edge.config import SOURCE_HELP, Config
from edge.data import Frame
from edge.engines.ort import OrtEngine
from edge.errors import DependencyError, EdgeError
from edge.pipeline import Pipeline
from edge.system.progress import with_progress

HELP = "frames a second from source to sink, with the time of each stage"
WARM_UP = 10  # frames
log = logging.getLogger("edge")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", metavar="SOURCE", help=f"{SOURCE_HELP} (default: a moving face)")
    add_settings(parser)
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
    address = wanted.source.address
    given = args.source is not None or address != "demo"
    live = given and session.is_live(wanted)
    with harness.rig(wanted) as (bundle, pipeline):
        stages, counts = Stages(), {"frames": 0, "faces": 0, "estimates": 0}
        if given:
            with session.frames(wanted, lambda: None) as opened:
                seconds = measure(
                    pipeline, islice(opened, args.frames), stages, counts, "capture" if live else "decode",
                    min(args.frames, opened.frame_count or args.frames),
                )  # fmt: skip
                counts["dropped"] = opened.dropped
        else:
            if args.every_frame:
                harness.step_in_each_frame(pipeline, bundle.manifest["step_hz"])
            seconds = measure(pipeline, _built_in(args), stages, counts, total=args.frames)
        made = harness.ran(wanted, bundle, pipeline, [Path(address)] if Path(address).is_file() else [])
        return report(
            "pipeline", made, _measurements(stages),
            [*_figures(stages, seconds, counts, live), *_network(bundle, pipeline, stages)],
            counts=counts, notes=_notes(wanted, pipeline, counts, live),
        )  # fmt: skip


def measure(
    pipeline: Pipeline,
    frames: Iterable[Frame],
    stages: Stages,
    counts: dict[str, int],
    wait: str = "decode",
    total: int | None = None,
) -> float:
    """Take ``frames`` through the pipeline; seconds from the first to the last that counts.

    ``wait`` is the stage in which the next frame is waited for, ``total`` the length of the bar on stderr.
    EdgeError where the warm-up takes them all.
    """
    instrument(pipeline, stages)
    tick = pipeline.recognizer.engine.tick
    source, warmed = iter(with_progress(stages.each(wait, frames), total)), 0
    for frame in islice(source, WARM_UP):
        pipeline.step(frame)
        tick()
        warmed += 1
    stages.clear()
    began = started = time.perf_counter()
    for frame in source:
        estimates = pipeline.step(frame)
        tick()
        done = time.perf_counter()
        stages.frame_done(done - started)
        started = done
        counts["frames"] += 1
        counts["faces"] += len(estimates)
        counts["estimates"] += sum(estimate.fresh for estimate in estimates)
    if not counts["frames"]:
        raise EdgeError(
            f"{warmed} frames came, and the first {WARM_UP} warm up; take a longer source or raise --frames"
        )
    return started - began


def _built_in(args: argparse.Namespace) -> Iterable[Frame]:
    frames = scenes.one_face()
    shown = scenes.luma(frames) if args.luma else frames
    return islice(scenes.endless(shown, 1 / harness.FPS), args.frames)


def _measurements(stages: Stages) -> list[dict[str, Any]]:
    whole = {"frame": stages.totals, "working time": stages.working()}
    taken = {name: harness.in_rounds([1e3 * one for one in seconds]) for name, seconds in whole.items()}
    parts = stages.milliseconds()
    return [
        *(measurement(name, found) for name, found in taken.items()),
        *(measurement(n, harness.in_rounds(v), group="stage") for n, v in parts.items()),
    ]


def _figures(stages: Stages, seconds: float, counts: dict[str, int], live: bool) -> list[dict[str, Any]]:
    wait = "the wait for the camera" if live else "decoding"
    return [
        figure(f"frames a second, {wait} included", counts["frames"] / seconds, "fps"),
        figure(f"frames a second, {wait} left out", 1 / float(np.mean(stages.working())), "fps"),
        figure("network steps a second", counts["estimates"] / seconds, "per s"),
        figure("faces in a frame", counts["faces"] / counts["frames"]),
        figure("sum of the stages, off the whole", abs(1 - stages.reconciled()), "", "<= 0.02"),
    ]


def _network(bundle: Bundle, pipeline: Pipeline, stages: Stages) -> list[dict[str, Any]]:
    """The mean time of the network, divided as a profile of its file for one face says."""
    took = [1e3 * frame["network"] for frame in stages.frames if "network" in frame]
    share, why = _recurrent_share(bundle, pipeline) if took else (None, "the network never ran")
    names = {"network: CNN share": None if share is None else 1 - share, "network: recurrent share": share}
    mean = float(np.mean(took)) if took else 0.0
    return [
        figure(
            name,
            None if part is None else part * mean,
            "ms a step",
            note=why if part is None else f"{part:.1%} of a mean of {mean:.3f} ms, by ONNX Runtime's profile",
        )
        for name, part in names.items()
    ]


def _recurrent_share(bundle: Bundle, pipeline: Pipeline) -> tuple[float | None, str]:
    engine = pipeline.recognizer.engine
    precision = engine.serves.partition(" on ")[0]
    if not isinstance(engine, OrtEngine) or precision not in bundle.precisions:
        return None, "one graph, and only ONNX Runtime tells the time of its nodes"
    state = {tensor.input for tensor in bundle.state}
    try:
        model = bundle.model(precision)
        return node_profile.recurrent_share(
            model, engine.threads, step_feeds(bundle, 1), state
        ), "no node was timed"
    except DependencyError as error:
        return None, str(error)


def _notes(wanted: Config, pipeline: Pipeline, counts: dict[str, int], live: bool) -> list[str]:
    about, kind = wanted.detector, type(pipeline.detector).__name__
    width = f"{about.input_width} pixels wide, " if kind == "YuNetDetector" else ""
    detector = f"{kind}, {width}every {about.every} frames"
    notes = [
        f"{pipeline.recognizer.engine.serves}; {detector}",
        "the work of `emotion-edge run` without its governor and its health record",
    ]
    if live:
        notes.append("stage capture: the wait for the next frame, which another thread decodes meanwhile")
    if not counts["faces"]:
        notes.append("no face was found: these are the figures of a detector that finds nothing")
        log.warning(notes[-1])
    return notes
