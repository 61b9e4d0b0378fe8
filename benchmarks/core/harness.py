"""What the benchmarks share: the parts of a run, interleaved timing, option types, and the fingerprint."""

from __future__ import annotations

import argparse
import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine.fingerprint import fingerprint
from benchmarks.scenes import frames as scenes
from edge import config_file, session
from edge.bundle import Bundle
from edge.cli import options
from edge.config import Config
from edge.data import Frame
from edge.engines import selection
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.pipeline import FULL_SEARCH_S, Pipeline
from edge.protocols import Engine
from edge.session import Parts
from edge.system.hashing import sha256
from edge.system.progress import Bar, with_progress

ROUNDS = 10
FPS = 30.0  # of the scenes
TURN = round(FPS * FULL_SEARCH_S)  # frames in which the detector does everything that it does periodically


def positive(text: str) -> float:
    """Option type: a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def count(text: str) -> int:
    """Option type: an integer of 1 or more."""
    return _at_least(1, text)


def none_or_more(text: str) -> int:
    """Option type: an integer of 0 or more."""
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    value = whole(text)
    if value < least:
        raise argparse.ArgumentTypeError(f"{text} is not {least} or more")
    return value


def whole(text: str) -> int:
    """Option type: an integer. argparse itself would name the function of our source."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number") from None


def settings(args: argparse.Namespace) -> Config:
    """The configuration from the options that ``edge.cli.options.add_settings`` added.

    Publishing is part of the work: if no JSON lines are wanted, they are written to the null device.
    """
    config = options.read(args).config
    if config.output.sinks.get("jsonl", {}).get("path"):
        return config
    return config_file.merge(config, {"output": {"jsonl": os.devnull}})


@contextmanager
def open_parts(config: Config) -> Iterator[Parts]:
    """The parts of a run, all open but the source.

    EdgeError if a stand-in for TensorRT would be replaced during the measurement.
    """
    with session.parts(config) as parts:
        _refuse_standby(parts.pipeline.recognizer.engine)
        yield parts


def _refuse_standby(engine: Engine) -> None:
    if not isinstance(engine, OrtEngine) and "TensorRT" not in engine.serves:
        raise EdgeError(
            f"{engine.serves} stands in for a TensorRT engine that is not built yet; "
            "run `emotion-edge engine` first, or set engine.kind=onnxruntime"
        )


def step_in_each_frame(pipeline: Pipeline, step_hz: float) -> None:
    """Run the network in every frame of a source with FPS, not only ``step_hz`` times a second."""
    pipeline.recognizer.step_share = FPS / step_hz


def stepper(parts: Parts, frames: Sequence[Frame]) -> Callable[[], int]:
    """A call that takes one frame through the pipeline, network included, and returns its faces."""
    pipeline = parts.pipeline
    step_in_each_frame(pipeline, parts.bundle.manifest.step_hz)
    source = scenes.endless(frames, 1 / FPS)
    return lambda: len(pipeline.step(next(source)))


def step_feeds(bundle: Bundle, faces: int) -> dict[str, Any]:
    """Random faces and zero states for one step of the network with ``faces`` rows."""
    face, rng = bundle.manifest.input, np.random.default_rng(0)
    shape = (faces, face.channels, face.size, face.size)
    state = {t.input: np.zeros((faces, *t.shape), np.float32) for t in bundle.state}
    return {"face": rng.standard_normal(shape).astype(np.float32), **state}


def take_turns(
    work: Mapping[str, Callable[[], object]],
    rounds: int = ROUNDS,
    seconds: float = 0.1,
    least: int = 10,
    calls: Mapping[str, int] | None = None,
) -> dict[str, list[list[float]]]:
    """Milliseconds per call by name and round; a sample is the mean of ``calls[name]`` calls, default one.

    All calls take turns within a round, because clocks and neighbors change by the second. Each gets
    ``seconds`` and at least ``least`` samples per round. The first calls, which fill caches, do not count.
    """
    times: dict[str, list[list[float]]] = {name: [] for name in work}
    for call in work.values():
        for _ in range(3):
            call()
    for _ in with_progress(range(rounds), rounds, "rounds"):
        for name, call in work.items():
            times[name].append(_timed(call, seconds, least, (calls or {}).get(name, 1)))
    return times


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


def by_seconds(frames: Iterable[Frame], seconds: float) -> Iterator[Frame]:
    """``frames``, with a progress bar that counts seconds and is drawn between two frames."""
    began = time.monotonic()
    with Bar(seconds, "seconds") as bar:
        for frame in frames:
            yield frame
            bar.at(min(time.monotonic() - began, seconds))


def in_rounds(values: Sequence[float], count: int = ROUNDS) -> list[list[float]]:
    """Consecutive samples in ``count`` rounds of nearly equal length."""
    edges = [len(values) * at // count for at in range(count + 1)]
    return [list(values[a:b]) for a, b in itertools.pairwise(edges) if b > a]


def fingerprint_of(
    parts: Parts | None = None, bundle: Bundle | None = None, inputs: Sequence[Path] = ()
) -> dict[str, Any]:
    """The fingerprint of a report: machine, command, and the parts that actually ran, "auto" resolved."""
    bundle = parts.bundle if parts else bundle
    result = fingerprint(bundle, inputs, ["emotion-bench", *sys.argv[1:]], 0)
    return result | {"setup": _setup(parts)} if parts else result


def _setup(parts: Parts) -> dict[str, Any]:
    settings, model = parts.config.detector, getattr(parts.detector, "model", None)
    return {
        "engine": parts.engine.serves,
        "threads": getattr(parts.engine, "threads", None),
        "detector": type(parts.detector).__name__,
        "detector_sha256": sha256(model) if model else None,
        "input_width": settings.input_width if model else None,
        "detector_every": settings.every,
    }


def on_threads(config: Config, threads: int) -> Config:
    """``config`` with the engine and precision that a run would choose, on ``threads`` threads."""
    with session.parts(config) as parts:
        kind, precision, _ = selection.wanted(config, parts.bundle)
    return replace(
        config,
        bundle=replace(config.bundle, precision=precision, threads=threads),
        engine=replace(config.engine, kind=kind),
    )
