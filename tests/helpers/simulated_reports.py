"""Reports of benchmarks with noise, drift and outliers as in life."""

from __future__ import annotations

import numpy as np

from benchmarks.core.report import SCHEMA

PAIRS, METRICS, ROUNDS, SAMPLES = 500, 8, 10, 99
NOISE, DRIFT, KEPT = 0.10, 0.007, 0.5  # of a sample, of a round; what a round keeps of the drift before it
OUTLIERS = 0.01  # of the samples take five times as long
CHEAP_MS, DETECTED_MS, EVERY = 0.3, 1.5, 3  # a frame without and with detection, which every third one has
SUMMARY = {"n": 1, "mean": 0, "max": 0, "p50": 0, "p99": 0}  # compare looks at the samples alone


def report(rounds: np.ndarray, better: str = "less", group: str = "latency", every: int = 1) -> dict:
    """A report of ``rounds``, (metrics, rounds, samples)."""
    measurements = [
        {"name": f"metric {at}", "group": group, "unit": "ms", "better": better,
         "rounds": one.tolist(), "summary": SUMMARY}
        for at, one in enumerate(rounds)
    ]  # fmt: skip
    fingerprint = {
        "board": "Raspberry Pi 5", "bundle": {"name": "tiny", "sha256": "a" * 64}, "inputs": [],
        "libraries": {"numpy": "2.2.6", "onnxruntime": "1.22.1"}, "setup": {"detector_every": every},
        "command": ["emotion-bench", "pipeline", "--frames", "990"],
    }  # fmt: skip
    return {
        "schema": SCHEMA, "kind": "pipeline", "fingerprint": fingerprint,
        "measurements": measurements, "figures": [],
    }  # fmt: skip


def latencies(rng: np.random.Generator, metrics: int = METRICS, drift: float = DRIFT) -> np.ndarray:
    """Latencies of one run as in life, ms: (metrics, rounds, samples).

    Lognormal noise of 10 %, 1 % of outliers of 5 times the time, and between rounds an AR(1) drift with a
    standard deviation of 0.7 % and a correlation of 0.5: clocks and temperature. Each metric drifts on its
    own, which gives a report more chances of a false alarm than one drift of all.
    """
    levels = np.empty((metrics, ROUNDS))
    levels[:, 0] = rng.normal(0, drift, metrics)
    for at in range(1, ROUNDS):
        levels[:, at] = KEPT * levels[:, at - 1] + rng.normal(0, drift * np.sqrt(1 - KEPT**2), metrics)
    shape = (metrics, ROUNDS, SAMPLES)
    slow = np.where(rng.random(shape) < OUTLIERS, 5.0, 1.0)
    return 5 * slow * np.exp(levels[..., None] + rng.normal(0, NOISE, shape))


def pair(factor: float = 1.0, better: str = "less") -> tuple[dict, dict]:
    rng = np.random.default_rng(8)
    a, b = latencies(rng, 2), latencies(rng, 2)
    b[1] *= factor
    return report(a, better), report(b, better)
