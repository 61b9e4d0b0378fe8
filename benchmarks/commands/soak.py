"""``emotion-bench soak``: the same work for a long time: does it stay fast and cool, and does memory grow?

Steady means that the medians of three consecutive windows differ by less than 1 %. If there is a sensor, the
temperature must also have changed by less than 1 degree in 5 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.core import harness, stats
from benchmarks.core.report import Report, figure, measurement, report
from benchmarks.machine.power import energy_per_estimate, mean_w
from benchmarks.machine.sensors import Sampler, Sensors
from benchmarks.scenes import frames as scenes
from benchmarks.scenes.paced import Numbers, PacedCamera, Record, no_estimate, skip_to_tick, watch
from edge.capture.reconnect.reconnect import Recovering
from edge.cli.options import add_settings
from edge.data import Frame
from edge.errors import EdgeError
from edge.system.cache import writable_cache
from edge.system.closing import Closing

Samples = list[dict[str, Any]]
HELP = "run for minutes: does it stay as fast, as small and as cool?"
WINDOW_S, STEADY_CHANGE, CALM_C, CALM_S = 10.0, 0.01, 1.0, 300.0
WARM_S = 1.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """The settings, the scene, and how long."""
    add_settings(parser)
    parser.add_argument(
        "--minutes", type=harness.positive, default=10.0, help="how long to run (default: %(default)g)"
    )
    parser.add_argument(
        "--fps",
        type=harness.positive,
        default=30.0,
        help="frames a second of the camera (default: %(default)g)",
    )
    parser.add_argument(
        "--idle",
        type=harness.none_or_more,
        default=10,
        metavar="SECONDS",
        help="seconds without work before, to measure idle power (default: 10)",
    )
    scenes.add_options(parser)


def run(args: argparse.Namespace) -> Report:
    """Work at a camera's rate for ``--minutes`` and observe."""
    config, sensors, seconds = harness.settings(args), Sensors(), 60 * args.minutes
    with Sampler(sensors) as idle:
        time.sleep(args.idle)
    # Whatever grows with the run is allocated before memory is measured, or stored on disk.
    paced, record = PacedCamera(scenes.chosen(args), args.fps), Record(0.0, round(args.fps * seconds) + 100)
    working, memory = Sampler(sensors), _Memory(round(seconds) + 100)
    with _Spool() as spool, harness.open_parts(config) as parts:
        pipeline = parts.pipeline
        working.samples = spool
        with Recovering(lambda: paced, None) as camera, working:
            record.began_s = time.monotonic()
            frames = iter(harness.by_seconds(memory.along(camera), seconds))
            skip_to_tick(frames, parts.bundle.manifest.step_hz, 0)
            watch(pipeline, frames, camera, record, seconds - WARM_S, WARM_S)
        samples = spool.read()
        fingerprint = harness.fingerprint_of(parts, inputs=scenes.inputs(args))
    return _report(args, record, memory, (idle.samples, samples, sensors), fingerprint)


def _report(
    args: argparse.Namespace,
    record: Record,
    memory: _Memory,
    measured: tuple[Samples, Samples, Sensors],
    fingerprint: dict[str, Any],
) -> Report:
    counts = Counter({"frames": len(record.done_s.floats()), "dropped": 0}) + Counter(record.lost)
    if counts["frames"] < 2:
        raise EdgeError(
            f"{args.minutes:g} minutes gave {counts['frames']} frames after a warm-up of {WARM_S:g} s; "
            "raise --minutes"
        )
    times, ages = record.times_s.floats(), record.ages_ms.floats()
    if not ages:
        raise no_estimate(counts)
    series = [
        {"name": "age", "unit": "ms", "time_s": times, "values": ages},
        {"name": "memory", "unit": "MB", "time_s": memory.at_s.floats(), "values": memory.mb.floats()},
    ]
    idle, working, sensors = measured
    figures = [
        *_steadiness(np.array(times), np.array(ages), working),
        *_growth(memory.at_s.floats(), memory.mb.floats()),
        *_energy(idle, working, record, sensors),
    ]
    return report(
        "soak", fingerprint, [measurement("age of estimates", harness.in_rounds(ages), group="age")], figures,
        counts={"dropped": 0, **counts}, series=series, sensors=working,
    )  # fmt: skip


class _Memory:
    """Resident memory once per second, read between two frames."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.at_s, self.mb, self._clock = Numbers(most), Numbers(most), clock

    def along(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """``frames``, reading the memory whenever a second has passed."""
        began = following = self._clock()
        for frame in frames:
            yield frame
            now = self._clock()
            if now >= following:
                following = now + 1.0
                pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
                self.at_s.append(now - began)
                self.mb.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


class _Spool(Closing, list[dict[str, Any]]):
    """A sampler's list that stores on disk: hours of readings in memory would look like a leak."""

    def __init__(self) -> None:
        # Line by line, so that there is no backlog.
        self._file = tempfile.TemporaryFile("w+", 1, "utf-8", dir=writable_cache("tmp"))  # noqa: SIM115

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def append(self, sample: dict[str, Any]) -> None:
        self._file.write(json.dumps(sample) + "\n")

    def read(self) -> Samples:
        """All samples in order."""
        self._file.seek(0)
        return [json.loads(line) for line in self._file]


def steady_from(times_s: np.ndarray, medians: np.ndarray, celsius: list[tuple[float, float]]) -> float | None:
    """Seconds until the machine was steady; None if it never was."""
    for at in range(2, len(medians)):
        three = medians[at - 2 : at + 1]
        if np.ptp(three) <= STEADY_CHANGE * three.mean() and _calm(celsius, float(times_s[at])):
            return float(times_s[at])
    return None


def _calm(celsius: list[tuple[float, float]], now_s: float) -> bool:
    """Whether the temperature was stable for the last minutes; always true without a sensor."""
    if not celsius:
        return True
    recent = [value for time_s, value in celsius if now_s - CALM_S <= time_s <= now_s]
    return now_s >= CALM_S and bool(recent) and max(recent) - min(recent) < CALM_C


def _steadiness(times: np.ndarray, ages: np.ndarray, samples: Samples) -> list[dict[str, Any]]:
    window = (times // WINDOW_S).astype(int)
    full = [at for at in range(window.max() + 1) if (window == at).sum() >= 10]
    medians = np.array([np.median(ages[window == at]) for at in full])
    celsius = [(s["time_s"], s["temperature_c"]) for s in samples if s.get("temperature_c") is not None]
    since = steady_from((np.array(full) + 1) * WINDOW_S, medians, celsius)
    # Includes the windows that showed steadiness, as there may be none after them.
    cold = None if since is None else medians[0] / np.median(ages[times >= since - 3 * WINDOW_S])
    notes = ["temperature n/a"] * (not celsius) + ["never within this run"] * (since is None)
    return [
        figure("steady after", since, "s", note="; ".join(notes)),
        figure("cold / steady, median age", None if cold is None else float(cold), "x"),
    ]


def _growth(times_s: list[float], sizes: list[float]) -> list[dict[str, Any]]:
    """Megabytes per hour, after the first fifth, in which caches fill."""
    note = "with this harness and its frames; emotion-bench start measures the memory of a run"
    peak = figure("resident memory, largest", max(sizes, default=None), "MB", note=note)
    late = len(sizes) // 5
    hours = np.array(times_s[late:]) / 3600
    if len(hours) < 20:
        return [peak, figure("memory slope", None, "MB an hour", note="too short a run")]
    flat = "flat if the interval contains 0"
    return [peak, figure("memory slope", stats.slope(hours, sizes[late:]), "MB an hour", note=flat)]


def _energy(idle: Samples, working: Samples, record: Record, sensors: Sensors) -> list[dict[str, Any]]:
    idle_w, busy_w = (_mean_power(samples) for samples in (idle, working))
    done_s = record.done_s.floats()
    each = energy_per_estimate(busy_w, idle_w, done_s[-1] - done_s[0], len(record.ages_ms.floats()))
    sensor = str(sensors.fixed()["power_sensor"] or "no power sensor that this user may read")
    return [
        figure("power, idle", idle_w, "W"),
        figure("power, working", busy_w, "W"),
        figure("energy of an estimate, less idle", None if each is None else 1e3 * each, "mJ", note=sensor),
    ]


def _mean_power(samples: Samples) -> float | None:
    return mean_w([sample.get("power_w") for sample in samples], [sample["time_s"] for sample in samples])
