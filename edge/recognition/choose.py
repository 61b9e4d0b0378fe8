"""Which precision and how many threads this machine runs fastest: measured once, kept, explained.

A candidate must reproduce golden.npz here before it is timed. Candidates take turns, so that a busy
machine slows all of them alike, and their medians are compared.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from edge.bundle import Bundle
from edge.data import Float32
from edge.errors import EdgeError
from edge.fetch import cache_folder
from edge.protocols import Engine
from edge.recognition.golden import reproduces

log = logging.getLogger("edge")
CANDIDATES = ("fp32", "int8-cpu")
BUDGET_S = 4.0  # of timing, for all candidates together
MakeEngine = Callable[[Path, int], Engine]


@dataclass(frozen=True)
class Choice:
    """A precision, the threads it runs on, and why."""

    precision: str
    threads: int
    why: str


def measure(bundle: Bundle, make: MakeEngine, budget_s: float = BUDGET_S) -> Choice:
    """The fastest of precisions and threads on one face; fp32 on one thread where nothing else passes."""
    engines: dict[tuple[str, int], Engine] = {}
    left_out = []
    for precision in CANDIDATES:
        if precision not in bundle.precisions:
            continue
        try:
            verdict = reproduces(make(bundle.model(precision), 1), bundle)
        except EdgeError as error:
            left_out.append(f"{precision} does not run here ({error})")
            continue
        if not verdict.passed:
            left_out.append(f"{precision} does not reproduce golden.npz here ({verdict})")
            continue
        for threads in _thread_counts():
            engines[precision, threads] = make(bundle.model(precision), threads)
    if not engines:
        raise EdgeError(f"no precision of {bundle.folder} runs here: {'; '.join(left_out)}; export it again")
    times = _medians(engines, _feeds(bundle), budget_s)
    # A tenth is within the noise: the one that keeps fewest cores busy is better then.
    good = [key for key, time_s in times.items() if time_s <= 1.1 * min(times.values())]
    precision, threads = min(good, key=lambda key: (key[1], times[key]))
    best = times[precision, threads]
    shown = ", ".join(f"{p} on {t}: {1e3 * times[p, t]:.2f} ms" for p, t in times)
    return Choice(precision, threads, "; ".join([f"{1e3 * best:.2f} ms a face; {shown}", *left_out]))


def _thread_counts() -> list[int]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [count for count in (1, 2, 4) if count <= cores]


def _feeds(bundle: Bundle) -> dict[str, Float32]:
    spec = bundle.manifest["input"]
    rng = np.random.default_rng(0)
    face = rng.standard_normal((1, spec["channels"], spec["size"], spec["size"])).astype(np.float32)
    return {"face": face, **{t.input: np.zeros((1, *t.shape), np.float32) for t in bundle.state}}


def _medians(
    engines: dict[tuple[str, int], Engine], feeds: dict[str, Float32], budget_s: float
) -> dict[tuple[str, int], float]:
    taken: dict[tuple[str, int], list[float]] = {key: [] for key in engines}
    end = time.perf_counter() + budget_s
    while time.perf_counter() < end or len(next(iter(taken.values()))) < 5:
        for key, engine in engines.items():
            started = time.perf_counter()
            engine.run(feeds)
            taken[key].append(time.perf_counter() - started)
    return {key: float(np.median(times[1:] or times)) for key, times in taken.items()}


def remember(bundle: Bundle, choice: Choice) -> None:
    """Keep the choice for this bundle on this machine; a cache that cannot be written is no fault."""
    path = _path(bundle)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(asdict(choice)), "utf-8")
        os.replace(fresh, path)
    except OSError as error:
        log.info("the choice is not kept: %s (%s)", path, error.strerror)


def recall(bundle: Bundle) -> Choice | None:
    """What was measured for this bundle on this machine; None where nothing was, or it cannot be read."""
    try:
        return Choice(**json.loads(_path(bundle).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _path(bundle: Bundle) -> Path:
    """One file per bundle, machine and version of the engine."""
    hashes = [entry["sha256"] for entry in bundle.manifest["files"].values()]
    machine = [platform.machine(), platform.node(), str(os.cpu_count()), _processor(), _engine_version()]
    key = hashlib.sha256("\n".join([*hashes, *machine]).encode()).hexdigest()[:16]
    return cache_folder() / f"choice-{key}.json"


def _processor() -> str:
    """Model name or part number of the processor, as the kernel tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return "; ".join(sorted({line for line in lines if line.startswith(("model name", "CPU part"))}))


def _engine_version() -> str:
    try:
        import onnxruntime
    except ImportError:
        return "none"
    return str(onnxruntime.__version__)
