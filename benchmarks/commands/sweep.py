"""``emotion-bench sweep``: the cost of a frame with more faces, more pixels and more threads."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.core import harness
from benchmarks.core.report import Report, figure, measurement, report
from benchmarks.core.stats import median
from benchmarks.scenes import frames
from edge.cli.options import add_settings
from edge.config import Config
from edge.data import Frame
from edge.errors import ConfigError

HELP = "time a frame with 0, 1, 4 and 8 faces, in several sizes, on several threads"
MOST_FACES = 64  # the limit of budget.faces
FRAMES = 15  # of each scene: larger than any cache, and all scenes together stay below 300 MB


@dataclass(frozen=True)
class Case:
    """The scene of one measurement, and its number of threads of ONNX Runtime."""

    faces: int
    size: str
    threads: int

    def __str__(self) -> str:
        return f"faces {self.faces}, {self.size}, threads {self.threads}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The settings and the cases."""
    add_settings(parser)
    parser.add_argument(
        "--faces",
        type=faces,
        action="append",
        metavar="N",
        help="faces in a frame; may be repeated (default: 0, 1, 4 and 8)",
    )
    parser.add_argument(
        "--size",
        action="append",
        metavar="WxH",
        help="size of a frame; may be repeated (default: 320x240, 640x480, 1280x720)",
    )
    parser.add_argument(
        "--threads",
        type=harness.count,
        action="append",
        metavar="N",
        help="threads of ONNX Runtime; may be repeated (default: 1 and 2)",
    )
    parser.add_argument(
        "--seconds",
        type=harness.positive,
        default=0.1,
        help="seconds for each case and round (default: %(default)g)",
    )
    parser.add_argument("--bgr", action="store_true", help="give frames in color, not in gray")


def faces(text: str) -> int:
    """Option type: a number of faces, 0 to MOST_FACES."""
    value = harness.whole(text)
    if not 0 <= value <= MOST_FACES:
        raise argparse.ArgumentTypeError(f"{text} is not 0 to {MOST_FACES}")
    return value


def run(args: argparse.Namespace) -> Report:
    """Measure all cases in turns; the network runs in every frame."""
    chosen = cases(args)
    base = with_budget(harness.settings(args), max(case.faces for case in chosen))
    # A sample is one whole turn of the detector: the median of single frames would ignore detections.
    turn = harness.TURN
    notes = [f"a sample is the mean of {turn} frames, one turn of the detector"]
    with ExitStack() as stack:
        work, fingerprint = _work(stack, base, chosen, args.bgr, notes)
        times = harness.take_turns(
            {str(case): step for case, step in work.items()}, seconds=args.seconds, least=1,
            calls={str(case): turn for case in chosen},
        )  # fmt: skip
        faces_seen = {case: sum(step() for _ in range(turn)) / turn for case, step in work.items()}
    ms = {case: median(times[str(case)]) for case in chosen}
    rows = [measurement(name, rounds) for name, rounds in times.items()]
    return report("sweep", fingerprint, rows, further(ms, faces_seen), notes=notes + mismatches(faces_seen))


def cases(args: argparse.Namespace) -> list[Case]:
    """Every number of faces in every size, on every number of threads."""
    sizes, threads = args.size or ["320x240", "640x480", "1280x720"], args.threads or [1, 2]
    chosen = [Case(n, size, t) for t in threads for size in sizes for n in args.faces or [0, 1, 4, 8]]
    return list(dict.fromkeys(chosen))


def with_budget(config: Config, faces: int) -> Config:
    """``config`` with a budget for a step of ``faces`` faces in every frame."""
    return replace(config, budget=replace(config.budget, faces=max(config.budget.faces, faces)))


def _work(
    stack: ExitStack, base: Config, chosen: list[Case], color: bool, notes: list[str]
) -> tuple[dict[Case, Callable[[], int]], dict[str, Any]]:
    """A call per case that processes one frame, and the fingerprint."""
    scenes: dict[tuple[str, int], list[Frame]] = {}
    work = {}
    on_threads = {n: harness.on_threads(base, n) for n in dict.fromkeys(case.threads for case in chosen)}
    for case in chosen:
        parts = stack.enter_context(harness.open_parts(on_threads[case.threads]))
        key = case.size, case.faces
        if key not in scenes:  # shared by all numbers of threads, because each takes megabytes
            crowd = frames.crowd(case.faces, *_pixels(case.size), FRAMES)
            scenes[key] = crowd if color else frames.luma(crowd)
        work[case] = harness.stepper(parts, scenes[key])
        if getattr(parts.engine, "threads", None) != case.threads:
            notes.append(f"{case}: {parts.engine.serves} manages its own threads")
    fingerprint = harness.fingerprint_of(parts)
    fingerprint["setup"]["threads"] = sorted({case.threads for case in chosen})
    return work, fingerprint


def further(ms: Mapping[Case, float], faces_seen: Mapping[Case, float]) -> list[dict[str, Any]]:
    """Milliseconds that each face after the first adds to a frame, if exactly the faces shown were found."""
    rows = []
    for case, took_ms in ms.items():
        one = replace(case, faces=1)
        if case.faces > 1 and one in ms:
            valid = (faces_seen[case], faces_seen[one]) == (case.faces, 1)
            each = (took_ms - ms[one]) / (case.faces - 1) if valid else None
            note = "" if valid else "the faces found are not those shown"
            rows.append(figure(f"each further face: {case}", each, "ms", note=note))
    return rows


def mismatches(faces_seen: Mapping[Case, float]) -> list[str]:
    """A line for each case in which the number of faces found differs from those shown."""
    return [f"{case}: {seen:.3g} faces were found" for case, seen in faces_seen.items() if seen != case.faces]


def _pixels(size: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in size.lower().split("x"))
    except ValueError:
        width = height = 0
    if not 64 <= min(width, height) <= max(width, height) <= 8192:
        raise ConfigError(f"--size {size!r} is not of the form 640x480, with 64 to 8192 pixels per side")
    return width, height
