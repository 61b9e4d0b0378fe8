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
from pathlib import Path
from typing import Any

from edge import build, config
from edge.bundle import Bundle
from edge.config import Config
from edge.pipeline import Pipeline
from edge.progress import with_progress

ROUNDS = 10


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Options that say what is measured, as ``emotion-edge run`` has them."""
    parser.add_argument("-c", "--config", type=Path, metavar="FILE.toml")
    parser.add_argument("--bundle", metavar="DIR", help="bundle to run (default: the one that ships)")
    parser.add_argument("--precision", help="fp32, int8-cpu, ... (default: auto, what `check` found fastest)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="TABLE.KEY=VALUE", help="override one setting"
    )


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


def settings(args: argparse.Namespace, **source: Any) -> Config:
    """The configuration of the options that ``add_settings`` made."""
    named = {"bundle": {"path": args.bundle, "precision": args.precision}, "source": source}
    wanted = config.merge(config.load(args.config, args.set), named)
    # Publishing belongs to the work: where no output is set, the lines are written and thrown away.
    return wanted if wanted.output.jsonl else config.merge(wanted, {"output": {"jsonl": os.devnull}})


@contextmanager
def rig(wanted: Config) -> Iterator[tuple[Bundle, Pipeline]]:
    """A bundle and the pipeline that ``emotion-edge run`` would make for this configuration."""
    bundle = build.bundle(wanted)
    with ExitStack() as stack:
        engine = stack.enter_context(build.engine(wanted, bundle))
        finder = stack.enter_context(build.detector(wanted, bundle.folder))
        sinks = [stack.enter_context(sink) for sink in build.sinks(wanted, bundle)]
        yield bundle, build.pipeline(wanted, bundle, finder, engine, sinks)


def take_turns(
    work: Mapping[str, Callable[[], object]],
    rounds: int = ROUNDS,
    seconds: float = 0.1,
    least: int = 10,
    calls: Mapping[str, int] | None = None,
) -> dict[str, list[list[float]]]:
    """Milliseconds of a call by name and round; a sample is the mean of ``calls[name]`` calls, else of one.

    All take turns within a round, because clocks and neighbours change by the second; each has ``seconds`` a
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


def progress(items: Sequence[Any] | range) -> Iterable[Any]:
    """``items`` with a bar on stderr."""
    return with_progress(items, len(items), "rounds")


def in_rounds(values: Sequence[float], count: int = ROUNDS) -> list[list[float]]:
    """Consecutive samples as ``count`` rounds of nearly one length."""
    edges = [len(values) * at // count for at in range(count + 1)]
    return [list(values[a:b]) for a, b in itertools.pairwise(edges) if b > a]


def command_line() -> list[str]:
    """The words of this command."""
    return ["emotion-bench", *sys.argv[1:]]
