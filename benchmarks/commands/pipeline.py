"""``emotion-bench pipeline``: a video or camera through the whole pipeline to a sink, stage by stage."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.core import harness, node_profile
from benchmarks.core.report import Report, figure, measurement, report
from benchmarks.core.stages import Stages, measure
from benchmarks.scenes import frames as scenes
from edge.capture.sources import help_text
from edge.cli.options import add_settings
from edge.data import Frame
from edge.engines.ort import OrtEngine
from edge.errors import DependencyError
from edge.session import Parts

HELP = "count frames a second from camera to output, with the time of each stage"
OFF = 0.02  # of the whole, by which the sum of the stages may differ
log = logging.getLogger("edge")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The source, the settings, and how many frames."""
    parser.add_argument("source", nargs="?", metavar="SOURCE", help=f"{help_text()} (default: a moving face)")
    add_settings(parser)
    parser.add_argument(
        "--frames",
        type=harness.count,
        default=1000,
        metavar="N",
        help="stop after N frames (default: %(default)s)",
    )
    parser.add_argument("--luma", action="store_true", help="give the built-in scene in gray, as cameras do")
    parser.add_argument(
        "--every-frame", action="store_true", dest="step_every_frame",
        help="run the network in each frame of the built-in scene",
    )  # fmt: skip


def run(args: argparse.Namespace) -> Report:
    """Measure one pass over the source."""
    config = harness.settings(args)
    address = config.source.address
    given = args.source is not None or address != "demo"
    with harness.open_parts(config) as parts:
        live = given and parts.live
        stages, counts = Stages(), {"frames": 0, "faces": 0, "estimates": 0}
        if given:
            seconds = measure(
                parts.pipeline, islice(parts.frames, args.frames), stages, counts,
                "capture" if live else "decode", min(args.frames, parts.frames.frame_count or args.frames),
            )  # fmt: skip
            counts["dropped"] = parts.frames.dropped
        else:
            if args.step_every_frame:
                harness.step_in_each_frame(parts.pipeline, parts.bundle.manifest.step_hz)
            seconds = measure(parts.pipeline, _built_in(args), stages, counts, total=args.frames)
        inputs = [Path(address)] if Path(address).is_file() else []
        return report(
            "pipeline", harness.fingerprint_of(parts, inputs=inputs), _measurements(stages),
            [*_figures(stages, seconds, counts, live), *_network(parts, stages)],
            counts=counts, notes=_notes(parts, stages, counts, live),
        )  # fmt: skip


def _built_in(args: argparse.Namespace) -> Iterable[Frame]:
    frames = scenes.one_face()
    shown = scenes.luma(frames) if args.luma else frames
    return islice(scenes.endless(shown, 1 / harness.FPS), args.frames)


def _measurements(stages: Stages) -> list[dict[str, Any]]:
    whole = {"frame": stages.totals, "working time": stages.working()}
    return [
        *(measurement(n, harness.in_rounds([1e3 * s for s in seconds])) for n, seconds in whole.items()),
        *(measurement(n, harness.in_rounds(ms), group="stage") for n, ms in stages.milliseconds().items()),
    ]


def _figures(stages: Stages, seconds: float, counts: dict[str, int], live: bool) -> list[dict[str, Any]]:
    wait = "the wait for the camera" if live else "decoding"
    return [
        figure(f"frames a second, {wait} included", counts["frames"] / seconds, "fps"),
        figure(f"frames a second, {wait} left out", 1 / float(np.mean(stages.working())), "fps"),
        figure("network steps a second", counts["estimates"] / seconds, "per s"),
        figure("faces in a frame", counts["faces"] / counts["frames"]),
        figure("sum of the stages, off the whole", abs(1 - stages.reconciled())),
    ]


def _network(parts: Parts, stages: Stages) -> list[dict[str, Any]]:
    """The mean time of the network, divided by a profile of its file with one face."""
    times_ms = [1e3 * frame["network"] for frame in stages.frames if "network" in frame]
    share, fault = _recurrent_share(parts) if times_ms else (None, "the network never ran")
    shares = {"network: CNN share": None if share is None else 1 - share, "network: recurrent share": share}
    mean = float(np.mean(times_ms)) if times_ms else 0.0
    return [
        figure(
            name,
            None if part is None else part * mean,
            "ms a step",
            note=fault
            if part is None
            else f"{part:.1%} of a mean of {mean:.3f} ms, by ONNX Runtime's profile",
        )
        for name, part in shares.items()
    ]


def _recurrent_share(parts: Parts) -> tuple[float | None, str]:
    """The share, and why it is None if it is."""
    engine, bundle = parts.engine, parts.bundle
    precision = engine.serves.partition(" on ")[0]
    if not isinstance(engine, OrtEngine) or precision not in bundle.precisions:
        return None, "one graph, and only ONNX Runtime tells the time of its nodes"
    model, state = bundle.model(precision), {tensor.input for tensor in bundle.state}
    feeds = harness.step_feeds(bundle, 1)
    try:
        return node_profile.recurrent_share(model, engine.threads, feeds, state), "no node was timed"
    except DependencyError as error:
        return None, str(error)


def _notes(parts: Parts, stages: Stages, counts: dict[str, int], live: bool) -> list[str]:
    settings, kind = parts.config.detector, type(parts.detector).__name__
    width = f"{settings.input_width} pixels wide, " if kind == "YuNetDetector" else ""
    notes = [
        f"{parts.engine.serves}; {kind}, {width}every {settings.every} frames",
        "the work of `emotion-edge run` without its governor and its health record",
    ]
    if live:
        notes.append("stage capture: the wait for the next frame, which another thread decodes meanwhile")
    if (off := abs(1 - stages.reconciled())) > OFF:
        notes.append(
            f"the stages do not add up to the whole ({off:.1%} off); measure again on an idle machine"
        )
    if not counts["faces"]:
        notes.append("no face was found: these are the figures of a detector that finds nothing")
        log.warning(notes[-1])
    return notes
