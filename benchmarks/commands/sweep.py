"""``emotion-bench sweep``: what a frame costs with more faces, more pixels and more threads."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.commands.model import median
from benchmarks.core import harness
from benchmarks.core.report import Report, figure, measurement, report
from benchmarks.scenes import frames
from edge.__main__ import add_settings
from edge.config import Config
from edge.data import Frame
from edge.errors import ConfigError

HELP = "a frame with 0, 1, 4 and 8 faces, in several resolutions, on several threads"
MOST_FACES = 64  # that budget.faces allows
FRAMES = 15  # of each scene: more than caches hold, and all scenes together stay below 300 MB


@dataclass(frozen=True)
class Case:
    """What one measurement shows, and on how many threads of ONNX Runtime."""

    faces: int
    size: str
    threads: int

    def __str__(self) -> str:
        return f"faces {self.faces}, {self.size}, threads {self.threads}"


def add_options(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)
    parser.add_argument("--faces", type=faces, action="append", help="in a frame (default: 0, 1, 4 and 8)")
    parser.add_argument(
        "--size", action="append", metavar="WxH", help="(default: 320x240, 640x480, 1280x720)"
    )
    parser.add_argument(
        "--threads", type=harness.count, action="append", help="of ONNX Runtime (default: 1 and 2)"
    )
    parser.add_argument(
        "--seconds", type=harness.positive, default=0.1, help="of each case a round (default: %(default)g)"
    )
    parser.add_argument("--bgr", action="store_true", help="frames in color instead of luma")


def faces(text: str) -> int:
    """An option's number of faces, 0 to MOST_FACES."""
    value = int(text)
    if not 0 <= value <= MOST_FACES:
        raise argparse.ArgumentTypeError(f"{text} is not 0 to {MOST_FACES}")
    return value


def run(args: argparse.Namespace) -> Report:
    """Measure all cases in turns; the network steps in every frame."""
    wanted = cases(args)
    base = with_room(harness.settings(args), max(case.faces for case in wanted))
    # A sample is one whole turn of the detector: the median of single frames would leave its looks out.
    turn = harness.TURN
    notes = [f"a sample is the mean of {turn} frames, one turn of the detector"]
    with ExitStack() as stack:
        work, made = _work(stack, base, wanted, args.bgr, notes)
        found = harness.take_turns(
            {str(case): step for case, step in work.items()}, seconds=args.seconds, least=1,
            calls={str(case): turn for case in wanted},
        )  # fmt: skip
        seen = {case: sum(step() for _ in range(turn)) / turn for case, step in work.items()}
    ms = {case: median(found[str(case)]) for case in wanted}
    rows = [measurement(name, rounds) for name, rounds in found.items()]
    return report("sweep", made, rows, further(ms, seen), notes=notes + strange(seen))


def cases(args: argparse.Namespace) -> list[Case]:
    """Every number of faces in every size, on every number of threads."""
    sizes, threads = args.size or ["320x240", "640x480", "1280x720"], args.threads or [1, 2]
    made = [Case(n, size, t) for t in threads for size in sizes for n in args.faces or [0, 1, 4, 8]]
    return list(dict.fromkeys(made))


def with_room(wanted: Config, most: int) -> Config:
    """``wanted`` with a step of the network for each of ``most`` faces in every frame."""
    room = max(wanted.budget.faces, most)
    return replace(wanted, budget=replace(wanted.budget, faces=room))


def _work(
    stack: ExitStack, base: Config, wanted: list[Case], color: bool, notes: list[str]
) -> tuple[dict[Case, Callable[[], int]], dict[str, Any]]:
    """One frame a call for each case, and the fingerprint."""
    pictures: dict[tuple[str, int], list[Frame]] = {}
    work = {}
    on_threads = {n: harness.on_threads(base, n) for n in dict.fromkeys(case.threads for case in wanted)}
    for case in wanted:
        settings = on_threads[case.threads]
        bundle, pipeline = stack.enter_context(harness.rig(settings))
        shown = case.size, case.faces
        if shown not in pictures:  # one scene for all numbers of threads: each takes megabytes
            made = frames.crowd(case.faces, *_pixels(case.size), FRAMES)
            pictures[shown] = made if color else frames.luma(made)
        work[case] = harness.stepper(pipeline, pictures[shown], bundle.manifest["step_hz"])
        if getattr(pipeline.recognizer.engine, "threads", None) != case.threads:
            notes.append(f"{case}: {pipeline.recognizer.engine.serves} has threads of its own")
    fingerprint = harness.ran(settings, bundle, pipeline)
    fingerprint["setup"]["threads"] = sorted({case.threads for case in wanted})
    return work, fingerprint


def further(ms: Mapping[Case, float], seen: Mapping[Case, float]) -> list[dict[str, Any]]:
    """What each face beyond the first adds to a frame, in milliseconds, where just those shown were found."""
    rows = []
    for case, took_ms in ms.items():
        one = replace(case, faces=1)
        if case.faces > 1 and one in ms:
            found = (seen[case], seen[one]) == (case.faces, 1)
            each = (took_ms - ms[one]) / (case.faces - 1) if found else None
            note = "" if found else "the faces found are not those shown"
            rows.append(figure(f"each further face: {case}", each, "ms", note=note))
    return rows


def strange(seen: Mapping[Case, float]) -> list[str]:
    """Where other faces were found than shown."""
    return [f"{case}: {found:.3g} faces were found" for case, found in seen.items() if found != case.faces]


def _pixels(size: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in size.lower().split("x"))
    except ValueError:
        width = height = 0
    if not 64 <= min(width, height) <= max(width, height) <= 8192:
        raise ConfigError(f"--size {size!r} is not of the form 640x480, with 64 to 8192 pixels each way")
    return width, height
