"""Measures which engine, precision and number of threads are fastest on this machine.

A candidate must reproduce golden.npz here before it is timed. Candidates take turns, so that a busy
machine slows all of them equally, and their medians are compared.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.config import EngineConfig
from edge.data import Float32
from edge.engines.backends import BackendPart
from edge.engines.golden import reproduces
from edge.errors import EdgeError
from edge.protocols import Engine

BUDGET_S = 4.0  # time for all candidates together


@dataclass(frozen=True)
class Choice:
    """An engine, a precision, a number of threads, and the reason for choosing them."""

    engine: str
    precision: str
    threads: int
    why: str

    def __str__(self) -> str:
        return _name((self.engine, self.precision, self.threads))


Key = tuple[str, str, int]  # engine, precision, threads


def measure(
    bundle: Bundle, settings: EngineConfig, parts: Sequence[BackendPart], budget_s: float = BUDGET_S
) -> Choice:
    """The fastest backend, precision and number of threads for one face that reproduce golden.npz.

    ``parts`` are the backends available on this machine. EdgeError if none of them qualifies.
    """
    excluded: list[str] = []
    with ExitStack() as stack:
        engines: dict[Key, Engine] = {}
        for part in parts:
            for precision in part.measured:
                if precision in bundle.precisions:
                    engines |= _qualified(stack, bundle, settings, part, precision, excluded)
        if not engines:
            raise EdgeError(
                f"no precision of {bundle.folder} runs here: {'; '.join(excluded)}; export it again"
            )
        times = _medians(engines, bundle, budget_s)
    # 10 % is within the noise; among those, the one that uses the fewest cores is best.
    good = [key for key, time_s in times.items() if time_s <= 1.1 * min(times.values())]
    best = min(good, key=lambda key: (key[2], times[key]))
    all_times = ", ".join(f"{_name(key)}: {1e3 * times[key]:.2f} ms" for key in times)
    return Choice(*best, "; ".join([f"{1e3 * times[best]:.2f} ms per face; {all_times}", *excluded]))


def _qualified(
    stack: ExitStack,
    bundle: Bundle,
    settings: EngineConfig,
    part: BackendPart,
    precision: str,
    excluded: list[str],
) -> dict[Key, Engine]:
    """The engines of one precision, one per number of threads, or none and a reason in ``excluded``."""
    name = precision if part.threaded else f"{precision} on {part.name}"
    counts = _thread_counts() if part.threaded else [1]
    try:
        first = stack.enter_context(part.load(settings, bundle, precision, counts[0]))
        verdict = reproduces(first, bundle)
    except EdgeError as error:
        excluded.append(f"{name} does not run here ({error})")
        return {}
    if not verdict.passed:
        excluded.append(f"{name} does not reproduce golden.npz here ({verdict})")
        return {}
    engines = {(part.name, precision, counts[0]): first}
    for count in counts[1:]:
        engine = stack.enter_context(part.load(settings, bundle, precision, count))
        engines[part.name, precision, count] = engine
    return engines


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
    """Median seconds of a step for one face; states stay with their engine, as in a real run."""
    durations: dict[Key, list[float]] = {key: [] for key in engines}
    feeds: dict[Key, dict[str, Any]] = {key: dict(_feeds(bundle)) for key in engines}
    end = time.perf_counter() + budget_s
    while time.perf_counter() < end or len(next(iter(durations.values()))) < 5:
        for key, engine in engines.items():
            started = time.perf_counter()
            out = engine.run(feeds[key])
            durations[key].append(time.perf_counter() - started)
            feeds[key] |= {tensor.input: out[tensor.output] for tensor in bundle.state}
    return {key: float(np.median(times[1:] or times)) for key, times in durations.items()}
