"""Which engine, precision and number of threads are fastest here: measured once, kept, explained.

A candidate must reproduce golden.npz here before it is timed. Candidates take turns, so that a busy
machine slows all of them alike, and their medians are compared.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.data import Float32
from edge.engines.golden import reproduces
from edge.errors import EdgeError
from edge.protocols import Engine

# By engine: its precisions, best hope first, and whether its number of threads matters.
CANDIDATES: dict[str, tuple[tuple[str, ...], bool]] = {
    "onnxruntime": (("fp32", "int8-cpu"), True),
    "onnxruntime-cuda": (("fp32", "fp16"), False),
    "tensorrt": (("int8-trt", "fp16", "fp32"), False),
}
BUDGET_S = 4.0  # of timing, for all candidates together
MakeEngine = Callable[[str, str, int], Engine]  # engine, precision, threads


@dataclass(frozen=True)
class Choice:
    """An engine, a precision, the threads it runs on, and why."""

    engine: str
    precision: str
    threads: int
    why: str

    def __str__(self) -> str:
        return _name((self.engine, self.precision, self.threads))


Key = tuple[str, str, int]  # engine, precision, threads


def measure(
    bundle: Bundle, make: MakeEngine, kinds: Sequence[str] = ("onnxruntime",), budget_s: float = BUDGET_S
) -> Choice:
    """The fastest of engines, precisions and threads on one face, among those that reproduce golden.npz.

    ``kinds`` are the engines that this machine has. EdgeError where nothing is right here.
    """
    left_out: list[str] = []
    with ExitStack() as stack:
        engines: dict[Key, Engine] = {}
        for kind in kinds:
            precisions, threaded = CANDIDATES[kind]
            for precision in precisions:
                if precision in bundle.precisions:
                    counts = _thread_counts() if threaded else [1]
                    engines |= _right(stack, bundle, make, kind, precision, counts, left_out)
        if not engines:
            raise EdgeError(
                f"no precision of {bundle.folder} runs here: {'; '.join(left_out)}; export it again"
            )
        times = _medians(engines, bundle, budget_s)
    # A tenth is within the noise: the one that keeps fewest cores busy is better then.
    good = [key for key, time_s in times.items() if time_s <= 1.1 * min(times.values())]
    best = min(good, key=lambda key: (key[2], times[key]))
    shown = ", ".join(f"{_name(key)}: {1e3 * times[key]:.2f} ms" for key in times)
    return Choice(*best, "; ".join([f"{1e3 * times[best]:.2f} ms a face; {shown}", *left_out]))


def _right(
    stack: ExitStack,
    bundle: Bundle,
    make: MakeEngine,
    kind: str,
    precision: str,
    counts: list[int],
    left_out: list[str],
) -> dict[Key, Engine]:
    """The engine of one precision on each number of threads, or a line in ``left_out``."""
    name = precision if kind == "onnxruntime" else f"{precision} on {kind}"
    try:
        first = stack.enter_context(make(kind, precision, counts[0]))
        verdict = reproduces(first, bundle)
    except EdgeError as error:
        left_out.append(f"{name} does not run here ({error})")
        return {}
    if not verdict.passed:
        left_out.append(f"{name} does not reproduce golden.npz here ({verdict})")
        return {}
    rest = {(kind, precision, count): make(kind, precision, count) for count in counts[1:]}
    return {(kind, precision, counts[0]): first} | {k: stack.enter_context(e) for k, e in rest.items()}


def _name(key: Key) -> str:
    kind, precision, threads = key
    return f"{precision} on {threads} threads" if kind == "onnxruntime" else f"{precision} on {kind}"


def _thread_counts() -> list[int]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [count for count in (1, 2, 4) if count <= cores]


def _feeds(bundle: Bundle) -> dict[str, Float32]:
    spec = bundle.manifest.input
    rng = np.random.default_rng(0)
    face = rng.standard_normal((1, spec.channels, spec.size, spec.size)).astype(np.float32)
    return {"face": face, **{t.input: np.zeros((1, *t.shape), np.float32) for t in bundle.state}}


def _medians(engines: dict[Key, Engine], bundle: Bundle, budget_s: float) -> dict[Key, float]:
    """Median seconds of a step of one face; states stay with the engine that gave them, as in service."""
    taken: dict[Key, list[float]] = {key: [] for key in engines}
    feeds: dict[Key, dict[str, Any]] = {key: dict(_feeds(bundle)) for key in engines}
    end = time.perf_counter() + budget_s
    while time.perf_counter() < end or len(next(iter(taken.values()))) < 5:
        for key, engine in engines.items():
            started = time.perf_counter()
            out = engine.run(feeds[key])
            taken[key].append(time.perf_counter() - started)
            feeds[key] |= {tensor.input: out[tensor.output] for tensor in bundle.state}
    return {key: float(np.median(times[1:] or times)) for key, times in taken.items()}
