"""Measures which engine, precision and number of threads are fastest on this machine.

A candidate must reproduce golden.npz here before it is timed. Each is loaded alone: threads of other engines
that wait for work by spinning would slow it down. The candidates take turns in several rounds, and the
quietest round of each counts, so that a busy machine is fair to all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from edge.bundle import Bundle
from edge.config import EngineConfig
from edge.data import Float32
from edge.engines.backends import BackendPart
from edge.engines.golden import Verdict
from edge.errors import EdgeError
from edge.protocols import Engine

BUDGET_S = 4.0  # time for all candidates together
ROUNDS = 3
_WARM_UP, _FEWEST = 3, 5  # steps: not timed, and timed at least
_NOISE = 1.1

Key = tuple[str, str, int]  # engine, precision, threads
Clock = Callable[[], float]
Prove = Callable[[BackendPart, EngineConfig, Bundle, str], Verdict]  # how close a precision comes; EdgeError


@dataclass(frozen=True)
class Choice:
    """An engine, a precision, a number of threads, and the reason for choosing them."""

    engine: str
    precision: str
    threads: int
    why: str

    def __str__(self) -> str:
        return _name((self.engine, self.precision, self.threads))


@dataclass(frozen=True)
class Measured:
    """What was measured: the choice, the times of all candidates, and what could not be one."""

    choice: Choice
    times_s: dict[Key, float]  # seconds of a step for one face
    excluded: tuple[str, ...]  # one reason each

    def table(self) -> Iterator[str]:
        """A line for each candidate, fastest first, and for each precision that is none."""
        best = (self.choice.engine, self.choice.precision, self.choice.threads)
        for key, time_s in sorted(self.times_s.items(), key=lambda row: row[1]):
            yield f"{_name(key):<24} {1e3 * time_s:6.2f} ms per face{', chosen' if key == best else ''}"
        yield from self.excluded


@dataclass(frozen=True)
class _Candidate:
    bundle: Bundle
    settings: EngineConfig
    part: BackendPart
    precision: str
    threads: int

    @property
    def key(self) -> Key:
        return self.part.name, self.precision, self.threads

    def load(self) -> Engine:
        engine: Engine = self.part.load(self.settings, self.bundle, self.precision, self.threads)
        return engine


def measure(
    bundle: Bundle,
    settings: EngineConfig,
    parts: Sequence[BackendPart],
    prove: Prove,
    budget_s: float = BUDGET_S,
    clock: Clock = time.perf_counter,
) -> Measured:
    """The fastest backend, precision and number of threads for one face that reproduce golden.npz.

    ``parts`` are the backends available on this machine; a precision that ``prove`` does not pass is not
    loaded. EdgeError if none of them qualifies.
    """
    excluded: list[str] = []
    candidates = [
        candidate
        for part in parts
        for precision in part.measured
        if precision in bundle.precisions
        for candidate in _qualified(bundle, settings, part, precision, prove, excluded)
    ]
    if not candidates:
        raise EdgeError(f"no precision of {bundle.folder} runs here: {'; '.join(excluded)}; export it again")
    times = _times(candidates, budget_s, clock)
    best = best_of(times)
    return Measured(Choice(*best, "; ".join([_why(best, times), *excluded])), times, tuple(excluded))


def best_of(times_s: Mapping[Key, float]) -> Key:
    """The fastest; of those within 10 %, which is noise, the fastest that uses the fewest cores."""
    good = [key for key, time_s in times_s.items() if time_s <= _NOISE * min(times_s.values())]
    return min(good, key=lambda key: (key[2], times_s[key]))


def _qualified(
    bundle: Bundle,
    settings: EngineConfig,
    part: BackendPart,
    precision: str,
    prove: Prove,
    excluded: list[str],
) -> list[_Candidate]:
    """One candidate per number of threads, or none and a reason in ``excluded``."""
    name = precision if part.threaded else f"{precision} on {part.name}"
    counts = _thread_counts() if part.threaded else [1]
    candidates = [_Candidate(bundle, settings, part, precision, count) for count in counts]
    try:
        verdict = prove(part, settings, bundle, precision)
    except EdgeError as error:
        excluded.append(f"{name} does not run here ({error})")
        return []
    if not verdict.passed:
        excluded.append(f"{name} does not reproduce golden.npz here ({verdict})")
        return []
    return candidates


def _times(candidates: Sequence[_Candidate], budget_s: float, clock: Clock) -> dict[Key, float]:
    """Seconds of a step for one face: the median of each candidate's quietest round."""
    share_s = budget_s / (ROUNDS * len(candidates))
    times = {candidate.key: inf for candidate in candidates}
    for _ in range(ROUNDS):
        for candidate in candidates:
            times[candidate.key] = min(times[candidate.key], _median(candidate, share_s, clock))
    return times


def _median(candidate: _Candidate, share_s: float, clock: Clock) -> float:
    """Median seconds of a step, loaded alone; states stay with the engine, as in a real run."""
    feeds: dict[str, Any] = dict(_feeds(candidate.bundle))
    durations: list[float] = []
    with candidate.load() as engine:
        end = clock() + share_s
        while len(durations) < _WARM_UP + _FEWEST or clock() < end:
            started = clock()
            out = engine.run(feeds)
            durations.append(clock() - started)
            feeds |= {tensor.input: out[tensor.output] for tensor in candidate.bundle.state}
    return float(np.median(durations[_WARM_UP:]))


def _why(best: Key, times: dict[Key, float]) -> str:
    """``1.90 ms per face, fp32 on 1 thread 4.01 ms``, and the rule if it decided."""
    rivals: dict[tuple[str, str], Key] = {}  # the fastest of each other engine and precision
    for key in sorted(times, key=lambda key: times[key]):
        if key[:2] != best[:2]:
            rivals.setdefault(key[:2], key)
    others = [f"{_name(key)} {1e3 * times[key]:.2f} ms" for key in rivals.values()]
    rule = "; within 10 % the fewest cores win" if times[best] > min(times.values()) else ""
    return ", ".join([f"{1e3 * times[best]:.2f} ms per face", *others]) + rule


def _name(key: Key) -> str:
    kind, precision, threads = key
    words = f"{threads} thread{'s' * (threads != 1)}"
    return f"{precision} on {words if kind == 'onnxruntime' else kind}"


def _thread_counts() -> list[int]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [count for count in (1, 2, 4) if count <= cores]


def _feeds(bundle: Bundle) -> dict[str, Float32]:
    spec = bundle.manifest.input
    rng = np.random.default_rng(0)
    face = rng.standard_normal((1, spec.channels, spec.size, spec.size)).astype(np.float32)
    return {"face": face, **{t.input: np.zeros((1, *t.shape), np.float32) for t in bundle.state}}
