"""Stands in for libFuzzer where atheris cannot be installed: same inputs and options, without coverage."""

from __future__ import annotations

import hashlib
import resource
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NoReturn

from fuzz.onnx_edits import change_bytes
from fuzz.targets.base import Target

STRUCTURED, MOST_KEPT = 0.8, 5000


def fuzz(target: Target, words: Sequence[str]) -> NoReturn:
    """Change inputs until the time is up; exits with 0, or with 77 after a fault, as libFuzzer does."""
    options = dict(word.lstrip("-").split("=", 1) for word in words if word.startswith("-"))
    paths = [Path(word) for word in words if not word.startswith("-")]
    files = [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    pool = [file.read_bytes() for file in files] or [b""]
    rng, end_s = (
        Random(int(options.get("seed", 0))),
        time.monotonic() + float(options.get("max_total_time", 0)),
    )
    count = 0
    while count < len(pool) or time.monotonic() < end_s:
        data = pool[count] if count < len(pool) else _changed(target, rng.choice(pool), rng)
        _one(target, data, options)
        count += 1
        if count > len(pool) and rng.random() < 0.05 and len(pool) < MOST_KEPT:
            pool.insert(0, data)
    print(f"stat::number_of_executed_units: {count}")
    print(f"stat::peak_rss_mb: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}")
    sys.exit(0)


def _changed(target: Target, data: bytes, rng: Random) -> bytes:
    for _ in range(rng.choice((1, 1, 2))):
        try:
            data = target.mutate(data, rng) if rng.random() < STRUCTURED else change_bytes(data, rng)
        except (ValueError, RecursionError):
            data = change_bytes(data, rng)
    return data[: target.most_bytes]


def _one(target: Target, data: bytes, options: dict[str, str]) -> None:
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(int(options.get("timeout", 10)))
    try:
        target.run(data)
    except BaseException as error:
        print(f"=== Uncaught Python exception: ===\n{type(error).__name__}: {error}")
        traceback.print_exc(file=sys.stdout)
        path = Path(f"{options.get('artifact_prefix', '')}crash-{hashlib.sha1(data).hexdigest()}")
        path.write_bytes(data)
        print(f"INFO: Test unit written to {path}", flush=True)
        sys.exit(77)
    finally:
        signal.alarm(0)


def _late(number: int, frame: object) -> NoReturn:
    raise TimeoutError("an input takes too long")
