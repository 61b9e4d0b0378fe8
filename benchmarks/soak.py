"""``emotion-bench soak``: the same work for a long time: does it stay fast, cool and of one size?

Steady is where the temperature changed by less than 1 degree in 5 minutes (where there is a sensor) and the
medians of three windows in a row differ by less than 1 %.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from benchmarks import harness, scenes, stats
from benchmarks.age import PacedCamera, Watched, watch
from benchmarks.fingerprint import fingerprint
from benchmarks.power import energy_per_estimate, mean_w
from benchmarks.report import Report, figure, measurement, report
from benchmarks.sensors import Sampler, Sensors
from edge.capture.recovery import Recovering
from edge.data import EmotionEstimate, Frame
from edge.protocols import Sink

HELP = "the same work for minutes: steady state, memory, temperature, power"
WINDOW_S, STEADY_CHANGE, CALM_C, CALM_S = 10.0, 0.01, 1.0, 300.0


def add_options(parser: argparse.ArgumentParser) -> None:
    harness.add_settings(parser)
    parser.add_argument("--minutes", type=harness.positive, default=10.0, help="(default: %(default)g)")
    parser.add_argument(
        "--fps", type=harness.positive, default=30.0, help="of the camera (default: %(default)g)"
    )
    parser.add_argument("--idle", type=float, default=10.0, metavar="SECONDS", help="to learn the idle power")
    parser.add_argument("--bgr", action="store_true", help="frames in colour instead of luma")


def run(args: argparse.Namespace) -> Report:
    """Work at a camera's rate for ``--minutes`` and watch."""
    frames = scenes.one_face() if args.bgr else scenes.luma(scenes.one_face())
    seconds = 60 * args.minutes
    sensors = Sensors()
    with Sampler(sensors) as idle:
        time.sleep(args.idle)
    with harness.rig(harness.settings(args)) as (bundle, pipeline), Sampler(sensors) as sampler:
        memory = _Memory()
        pipeline.sinks = [*pipeline.sinks, memory]
        with Recovering(lambda: PacedCamera(frames, args.fps, seconds), None) as opened:
            seen = watch(pipeline, opened, seconds)
            counts = {"frames": len(seen.done_s), "dropped": opened.dropped, **opened.bad}
        made = fingerprint(bundle, [], harness.command_line(), 0)
    ages = measurement("age of estimates", harness.in_rounds(seen.ages_ms), group="age")
    times, sizes = (list(column) for column in zip(*memory.samples, strict=True))
    series = [
        {"name": "age", "unit": "ms", "time_s": seen.times_s, "values": seen.ages_ms},
        {"name": "memory", "unit": "MB", "time_s": times, "values": sizes},
    ]
    figures = [
        *_steadiness(seen, sampler.samples),
        *_growth(memory.samples),
        *_energy(idle, sampler, seen, sensors),
    ]
    return report("soak", made, [ages], figures, counts=counts, series=series, sensors=sampler.samples)


class _Memory:
    """A sink that notes the resident memory every second."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, float]] = []  # seconds, MB
        self._began = self._next = time.monotonic()

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass  # nothing is held

    def write(self, frame: Frame, estimates: Sequence[EmotionEstimate]) -> None:
        """Look at the memory if a second has passed."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 1.0
            pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
            self.samples.append((now - self._began, pages * os.sysconf("SC_PAGE_SIZE") / 1e6))


def steady_from(times_s: np.ndarray, medians: np.ndarray, celsius: list[tuple[float, float]]) -> float | None:
    """Seconds after which the machine was steady; None where it never was."""
    for at in range(2, len(medians)):
        three = medians[at - 2 : at + 1]
        if np.ptp(three) <= STEADY_CHANGE * three.mean() and _calm(celsius, float(times_s[at])):
            return float(times_s[at])
    return None


def _calm(celsius: list[tuple[float, float]], now_s: float) -> bool:
    """Whether the temperature stood still for the last minutes; a machine without a sensor counts as calm."""
    if not celsius:
        return True
    recent = [value for time_s, value in celsius if now_s - CALM_S <= time_s <= now_s]
    return now_s >= CALM_S and bool(recent) and max(recent) - min(recent) < CALM_C


def _steadiness(seen: Watched, samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    times, ages = np.array(seen.times_s), np.array(seen.ages_ms)
    window = (times // WINDOW_S).astype(int)
    full = [at for at in range(window.max() + 1) if (window == at).sum() >= 10]
    medians = np.array([np.median(ages[window == at]) for at in full])
    celsius = [(s["time_s"], s["temperature_c"]) for s in samples if s.get("temperature_c") is not None]
    since = steady_from((np.array(full) + 1) * WINDOW_S, medians, celsius)
    cold = medians[0] / np.median(ages[times >= since]) if since is not None else None
    note = "temperature n/a" if not celsius else ""
    return [
        figure("steady after", since, "s", note=note or "never within this run" if since is None else note),
        figure("cold / steady, median age", None if cold is None else float(cold), "x"),
    ]


def _growth(samples: list[tuple[float, float]]) -> list[dict[str, Any]]:
    """Megabytes an hour, after the first fifth, in which caches fill."""
    late = np.array(samples[len(samples) // 5 :])
    hours, sizes = late[:, 0] / 3600, late[:, 1]
    peak = figure("resident memory, largest", float(max(size for _, size in samples)), "MB", "<= 120")
    if len(late) < 20:
        return [peak, figure("memory slope", None, "MB an hour", note="too short a run")]
    return [
        peak,
        figure("memory slope", stats.slope(hours, sizes), "MB an hour", note="0 within the interval is flat"),
    ]


def _energy(idle: Sampler, working: Sampler, seen: Watched, sensors: Sensors) -> list[dict[str, Any]]:
    idle_w, busy_w = (_mean_power(sampler.samples) for sampler in (idle, working))
    seconds = seen.done_s[-1] - seen.done_s[0]
    each = energy_per_estimate(busy_w, idle_w, seconds, len(seen.ages_ms))
    sensor = str(sensors.fixed()["power_sensor"] or "no power sensor that this user may read")
    return [
        figure("power, idle", idle_w, "W"),
        figure("power, working", busy_w, "W"),
        figure("energy of an estimate, less idle", None if each is None else 1e3 * each, "mJ", note=sensor),
    ]


def _mean_power(samples: list[dict[str, Any]]) -> float | None:
    return mean_w([sample.get("power_w") for sample in samples], [sample["time_s"] for sample in samples])
