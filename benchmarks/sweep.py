"""``emotion-bench sweep``: what a frame costs with more faces, more pixels and more threads."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from benchmarks import harness, scenes
from benchmarks.fingerprint import fingerprint
from benchmarks.report import Report, figure, measurement, report
from edge.data import EmotionEstimate, Frame
from edge.errors import ConfigError
from edge.pipeline import Pipeline

HELP = "a frame with 0, 1, 4 and 8 faces, in several resolutions, on several threads"


def add_options(parser: argparse.ArgumentParser) -> None:
    harness.add_settings(parser)
    parser.add_argument("--faces", type=int, action="append", help="in a frame (default: 0, 1, 4 and 8)")
    parser.add_argument(
        "--size", action="append", metavar="WxH", help="(default: 320x240, 640x480, 1280x720)"
    )
    parser.add_argument("--threads", type=int, action="append", help="of ONNX Runtime (default: 1 and 2)")
    parser.add_argument(
        "--seconds", type=harness.positive, default=0.1, help="of each case a round (default: %(default)g)"
    )
    parser.add_argument("--bgr", action="store_true", help="frames in colour instead of luma")


def run(args: argparse.Namespace) -> Report:
    """Measure all cases in turns; the network steps in every frame."""
    faces, sizes = args.faces or [0, 1, 4, 8], args.size or ["320x240", "640x480", "1280x720"]
    threads = args.threads or [1, 2]
    base = harness.settings(args)
    work: dict[str, Callable[[], list[EmotionEstimate]]] = {}
    with ExitStack() as stack:
        for count in threads:
            wanted = replace(base, bundle=replace(base.bundle, threads=count))
            for size in sizes:
                for people in faces:
                    name = f"faces {people}, {size}, threads {count}"
                    bundle, pipeline = stack.enter_context(harness.rig(wanted))
                    frames = scenes.crowd(people, *_pixels(size))
                    frames = frames if args.bgr else scenes.luma(frames)
                    work[name] = _stepper(pipeline, frames, bundle.manifest["step_hz"])
        found = harness.take_turns(work, seconds=args.seconds)
        seen = {name: len(call()) for name, call in work.items()}
        made = fingerprint(bundle, [], harness.command_line(), 0)
    rows = [measurement(name, rounds) for name, rounds in found.items()]
    missed = [f"{name}: {n} tracked" for name, n in seen.items() if n != int(name.split()[1].rstrip(","))]
    return report(
        "sweep",
        made,
        rows,
        _further(found, seen),
        notes=[f"faces found are not those shown: {m}" for m in missed],
    )


def _stepper(pipeline: Pipeline, frames: list[Frame], step_hz: float) -> Callable[[], list[EmotionEstimate]]:
    """One frame a call, each due for a step of the network."""
    source = scenes.endless(frames, 1 / step_hz)
    return lambda: pipeline.step(next(source))


def _further(found: dict[str, list[list[float]]], seen: dict[str, int]) -> list[dict[str, object]]:
    """What each face beyond the first adds to a frame, in milliseconds."""
    rows = []
    for name, rounds in found.items():
        one = name.replace(name.split(",")[0], "faces 1")
        if seen[name] > 1 and one in found and seen[one] == 1:
            each = (np.median(np.concatenate(rounds)) - np.median(np.concatenate(found[one]))) / (
                seen[name] - 1
            )
            rows.append(figure(f"each further face: {name}", float(each), "ms"))
    return rows


def _pixels(size: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in size.lower().split("x"))
    except ValueError:
        width = height = 0
    if not 64 <= min(width, height) <= max(width, height) <= 8192:
        raise ConfigError(f"--size {size!r} is not of the form 640x480, with 64 to 8192 pixels each way")
    return width, height
