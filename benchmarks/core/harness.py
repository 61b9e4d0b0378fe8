"""What the benchmarks share: the parts of a run, taking turns, and options."""

from __future__ import annotations

import argparse
import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.machine.fingerprint import fingerprint
from benchmarks.scenes import frames as scenes
from edge import config, session
from edge.bundle import Bundle, sha256
from edge.config import Config
from edge.data import Frame
from edge.engines import selection
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.pipeline import ALL_AROUND_S, Pipeline
from edge.protocols import Engine
from edge.system.progress import Bar, with_progress

ROUNDS = 10
FPS = 30.0  # of the scenes
TURN = round(FPS * ALL_AROUND_S)  # frames after which the detector has done all that it does at times


def positive(text: str) -> float:
    """An option's number above 0."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def count(text: str) -> int:
    """An option's whole number, 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def none_or_more(text: str) -> int:
    """An option's whole number, 0 or more."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is not 0 or more")
    return value


def settings(args: argparse.Namespace, **source: Any) -> Config:
    """The configuration of the options that ``edge.__main__.add_settings`` made."""
    named = {"bundle": {"path": args.bundle, "precision": args.precision}, "source": source}
    wanted = config.merge(config.load(args.config, args.set), named)
    # Publishing belongs to the work: where no output is set, the lines are written and thrown away.
    return wanted if wanted.output.jsonl else config.merge(wanted, {"output": {"jsonl": os.devnull}})


@contextmanager
def rig(wanted: Config) -> Iterator[tuple[Bundle, Pipeline]]:
    """A bundle and the pipeline that ``emotion-edge run`` would make for this configuration."""
    bundle = session.bundle(wanted)
    with ExitStack() as stack:
        engine = stack.enter_context(session.engine(wanted, bundle))
        _refuse_standby(engine)
        finder = stack.enter_context(session.detector(wanted, bundle.folder))
        sinks = [stack.enter_context(sink) for sink in session.sinks(wanted, bundle)]
        yield bundle, session.pipeline(wanted, bundle, finder, engine, sinks)


def _refuse_standby(engine: Engine) -> None:
    """EdgeError where something stands in for TensorRT: it would give way amid the measurement."""
    if not isinstance(engine, OrtEngine) and "TensorRT" not in engine.serves:
        raise EdgeError(
            f"{engine.serves} stands in for a TensorRT engine that is not built; run `emotion-edge engine` "
            "first, or set engine.kind=onnxruntime"
        )


def step_in_each_frame(pipeline: Pipeline, step_hz: float) -> None:
    """The network runs in every frame of a source with FPS, not only ``step_hz`` times a second."""
    pipeline.recognizer.step_share = FPS / step_hz


def stepper(pipeline: Pipeline, frames: Sequence[Frame], step_hz: float) -> Callable[[], int]:
    """One frame a call, at FPS, each due for a step of the network; gives the number of faces in it."""
    step_in_each_frame(pipeline, step_hz)
    source = scenes.endless(frames, 1 / FPS)
    return lambda: len(pipeline.step(next(source)))


def take_turns(
    work: Mapping[str, Callable[[], object]],
    rounds: int = ROUNDS,
    seconds: float = 0.1,
    least: int = 10,
    calls: Mapping[str, int] | None = None,
) -> dict[str, list[list[float]]]:
    """Milliseconds of a call by name and round; a sample is the mean of ``calls[name]`` calls, else of one.

    All take turns within a round, because clocks and neighbors change by the second; each has ``seconds`` a
    round, and ``least`` samples. The first calls, which fill caches, are not counted.
    """
    found: dict[str, list[list[float]]] = {name: [] for name in work}
    for call in work.values():
        for _ in range(3):
            call()
    for _ in progress(range(rounds)):
        for name, call in work.items():
            found[name].append(_timed(call, seconds, least, (calls or {}).get(name, 1)))
    return found


def _timed(call: Callable[[], object], seconds: float, least: int, calls: int) -> list[float]:
    times: list[float] = []
    clock = time.perf_counter
    end = clock() + seconds
    while len(times) < least or clock() < end:
        started = clock()
        for _ in range(calls):
            call()
        times.append(1e3 * (clock() - started) / calls)
    return times


def progress(items: Sequence[Any] | range, unit: str = "rounds") -> Iterable[Any]:
    """``items`` with a bar on stderr."""
    return with_progress(items, len(items), unit)


def by_seconds(frames: Iterable[Frame], seconds: float) -> Iterator[Frame]:
    """``frames`` with a bar on stderr that counts the seconds; it is drawn between two frames."""
    began = time.monotonic()
    with Bar(seconds, "seconds") as bar:
        for frame in frames:
            yield frame
            bar.at(min(time.monotonic() - began, seconds))


def in_rounds(values: Sequence[float], count: int = ROUNDS) -> list[list[float]]:
    """Consecutive samples as ``count`` rounds of nearly one length."""
    edges = [len(values) * at // count for at in range(count + 1)]
    return [list(values[a:b]) for a, b in itertools.pairwise(edges) if b > a]


def ran(
    wanted: Config | None = None,
    bundle: Bundle | None = None,
    pipeline: Pipeline | None = None,
    inputs: Sequence[Path] = (),
) -> dict[str, Any]:
    """The fingerprint of a report: this machine, this command, and what really ran, "auto" resolved."""
    made = fingerprint(bundle, inputs, ["emotion-bench", *sys.argv[1:]], 0)
    if wanted is not None and pipeline is not None:
        made["setup"] = _setup(wanted, pipeline)
    return made


def _setup(wanted: Config, pipeline: Pipeline) -> dict[str, Any]:
    engine, model = pipeline.recognizer.engine, getattr(pipeline.detector, "model", None)
    return {
        "engine": engine.serves,
        "threads": getattr(engine, "threads", None),
        "detector": type(pipeline.detector).__name__,
        "detector_sha256": sha256(model) if model else None,
        "input_width": wanted.detector.input_width if model else None,
        "detector_every": wanted.detector.every,
    }


def on_threads(wanted: Config, threads: int) -> Config:
    """The engine and precision that a run would take, on ``threads`` threads of ONNX Runtime."""
    kind, precision, _ = selection.wanted(wanted, session.bundle(wanted))
    return replace(
        wanted,
        bundle=replace(wanted.bundle, precision=precision, threads=threads),
        engine=replace(wanted.engine, kind=kind),
    )
