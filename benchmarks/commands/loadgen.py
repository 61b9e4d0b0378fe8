"""``emotion-bench loadgen``: LoadGen SingleStream, MultiStream and Offline, unofficial.

MLCommons' load generator requests clips: sequences of face crops that run through the one-step network from
the zero state. Scenarios and early stopping are those of Reddi et al., ISCA 2020, arXiv 1911.02549. Each
scenario runs twice, once for speed and once for the last logits of the clips.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.core import harness
from benchmarks.core.loadgen_sut import Clips, System
from benchmarks.core.report import Report, figure, measurement, report
from edge import bundle as bundles
from edge.data import Float32
from edge.engines import golden
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError, require
from edge.protocols import Engine
from edge.system.cache import writable_cache
from edge.system.progress import Bar

HELP = "run MLCommons LoadGen on the network, unofficial: SingleStream, MultiStream, Offline"
OFFICIAL_SECONDS, SEED = 600, 0
Log = dict[str, Any]  # LoadGen's own keys


@dataclass(frozen=True)
class Scenario:
    """One of LoadGen's scenarios."""

    batch: int  # clips
    min_queries: int  # for its early stopping
    figure: str
    result: str  # LoadGen's name of the figure
    estimate: str = ""  # LoadGen's name of its early-stopping estimate


SCENARIOS = {
    "SingleStream": Scenario(1, 64, "p90", "90.00_percentile_latency_ns", "latency_ss"),
    "MultiStream": Scenario(8, 662, "p99", "99.00_percentile_per_query_latency_ns", "latency_ms"),
    "Offline": Scenario(8, 1, "rate", "samples_per_second"),
}  # fmt: skip


def play(engine: Engine, clips: Clips, name: str, mode: str, seconds: float) -> tuple[Log, list[float]]:
    """LoadGen's log and the milliseconds of each batch; ``mode`` is PerformanceOnly or AccuracyOnly."""
    lg: Any = require("mlperf_loadgen", "pip install 'emotion-edge[loadgen]'")
    system, log = System(lg, engine, clips, SCENARIOS[name].batch), Log()
    with TemporaryDirectory(dir=writable_cache("tmp")) as folder, system.guarded():
        for _ in range(5):
            system.answer([at % len(clips) for at in range(SCENARIOS[name].batch)])
        if system.fault is None:
            fastest_s = min(system.taken_ms) / 1e3
            settings = _settings(lg, name, mode, seconds, fastest_s)
            system.taken_ms.clear()
            # The minimum of MultiStream takes minutes, whatever --seconds says.
            least_s = max(seconds, SCENARIOS[name].min_queries * fastest_s)
            with _bar(system, name, least_s if mode == "PerformanceOnly" else None, len(clips)):
                _start(lg, system, len(clips), settings, folder)
            log = _read(Path(folder))
    return log, system.taken_ms


def _bar(system: System, name: str, least_s: float | None, clips: int) -> Bar:
    """The progress of LoadGen: in seconds of a performance run, in clips of an accuracy run."""
    if least_s is None:
        bar = Bar(clips, f"clips, LoadGen {name}, unofficial")
        system.on_progress = bar.at
        return bar
    print(f"LoadGen {name}, unofficial: at least {least_s:.0f} s", file=sys.stderr)
    bar, began = Bar(least_s, "seconds"), time.monotonic()
    system.on_progress = lambda _: bar.at(min(time.monotonic() - began, least_s))
    return bar


def _settings(lg: Any, name: str, mode: str, seconds: float, fastest_s: float) -> Any:
    """LoadGen's settings; it prepares queries for the expected times.

    With too few queries a run ends early and is INVALID. Streams therefore expect a quarter of the fastest
    batch's time, as other processes may stop. Offline expects 1.3 times its rate, as it answers all queries.
    """
    settings, scenario = lg.TestSettings(), SCENARIOS[name]
    settings.scenario, settings.mode = getattr(lg.TestScenario, name), getattr(lg.TestMode, mode)
    settings.min_duration_ms, settings.min_query_count = round(1e3 * seconds), scenario.min_queries
    settings.single_stream_expected_latency_ns = int(0.25e9 * fastest_s)
    settings.multi_stream_expected_latency_ns = int(0.25e9 * fastest_s)
    settings.multi_stream_samples_per_query = scenario.batch
    settings.offline_expected_qps = 1.3 * scenario.batch / fastest_s
    settings.qsl_rng_seed = settings.sample_index_rng_seed = settings.schedule_rng_seed = SEED
    return settings


def _start(lg: Any, system: System, count: int, settings: Any, folder: str) -> None:
    logs = lg.LogSettings()
    logs.log_output.outdir, logs.enable_trace = folder, False
    sut = lg.ConstructSUT(system.issue, lambda: None)
    library = lg.ConstructQSL(count, count, lambda rows: None, lambda rows: None)  # all stay in memory
    try:
        # An audit.config in the current folder would change the settings.
        lg.StartTestWithLogSettings(sut, library, settings, logs, f"{folder}/audit.config")
    finally:
        lg.DestroyQSL(library)
        lg.DestroySUT(sut)


def _read(folder: Path) -> Log:
    """Every key of LoadGen's detailed log, and "answers" of an accuracy run: clip -> last logits (K,)."""
    lines = (folder / "mlperf_log_detail.txt").read_text().splitlines()
    entries = [json.loads(line.removeprefix(":::MLLOG ")) for line in lines]
    rows = json.loads((folder / "mlperf_log_accuracy.json").read_text())
    answers = {row["qsl_idx"]: np.frombuffer(bytes.fromhex(row["data"]), np.float32) for row in rows}
    return {entry["key"]: entry["value"] for entry in entries} | {"answers": answers}


def figures(name: str, log: Log) -> list[dict[str, Any]]:
    """LoadGen's results of a performance run; times in ms, "rate" in clips/s."""
    scenario, title = SCENARIOS[name], f"LoadGen {name}, unofficial"
    note = f"{log['result_validity']}: {log.get('result_invalid_reason', '')}".rstrip(": ")
    value = log[f"result_{scenario.result}"]
    if not scenario.estimate:
        return [figure(f"{title}: {scenario.figure}", value, "clips/s", note=note)]
    early = log.get(f"early_stopping_{scenario.estimate}")  # 0 after too few queries
    return [
        figure(f"{title}: {scenario.figure}", value / 1e6, "ms", note=note),
        figure(f"{title}: {scenario.figure}, early stopping", early / 1e6 if early else None, "ms"),
    ]


def agreement(name: str, log: Log, expected: Float32) -> list[dict[str, Any]]:
    """How close the logits of an accuracy run come to fp32; EdgeError if a clip has no answer."""
    answers = log["answers"]
    if sorted(answers) != list(range(len(expected))):
        raise EdgeError(f"LoadGen {name} answers {len(answers)} of {len(expected)} clips; run it again")
    verdict = golden.compare(np.stack([answers[at] for at in range(len(expected))]), expected)
    title = f"LoadGen {name}, unofficial"
    return [
        figure(f"{title}: min cosine to fp32", verdict.min_cosine, "", f">= {golden.MIN_COSINE}"),
        figure(f"{title}: label changes", verdict.label_changes, "", f"<= {golden.MAX_LABEL_CHANGES}"),
    ]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The bundle and the scenarios."""
    parser.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        metavar="BUNDLE",
        help="folder of the bundle (default: the reference bundle)",
    )
    parser.add_argument(
        "--scenario",
        action="append",
        choices=list(SCENARIOS),
        help="scenario to run; may be repeated (default: all)",
    )
    parser.add_argument("--precision", help="a precision of the bundle (default: int8-cpu, else fp32)")
    parser.add_argument(
        "--threads", type=harness.count, default=1, metavar="N", help="threads of ONNX Runtime (default: 1)"
    )
    parser.add_argument(
        "--seconds",
        type=harness.positive,
        default=10,
        help="least seconds for each scenario (default: 10; official results: 600)",
    )


def run(args: argparse.Namespace) -> Report:
    """Run each scenario for speed and for its answers; EdgeError if the network fails meanwhile."""
    bundle = bundles.load(args.bundle)
    precision = args.precision or ("int8-cpu" if "int8-cpu" in bundle.precisions else "fp32")
    engine, clips = OrtEngine(bundle.model(precision), args.threads), Clips(bundle)
    expected, rows, measurements = clips.expected(), [], []
    for name in args.scenario or SCENARIOS:
        log, batches_ms = play(engine, clips, name, "PerformanceOnly", args.seconds)
        rows += figures(name, log)
        title = f"LoadGen {name}, unofficial: batch of {SCENARIOS[name].batch}"
        measurements.append(measurement(title, harness.in_rounds(batches_ms)))
        rows += agreement(name, play(engine, clips, name, "AccuracyOnly", args.seconds)[0], expected)
    notes = [
        f"{precision}, threads {args.threads}; a clip is {clips.steps} steps; at least {args.seconds:g} s "
        f"per scenario, while official results take {OFFICIAL_SECONDS} s and a review by MLCommons",
        "faces are cropped and normalized in advance; golden sequences run back and forth to fill a clip",
    ]
    fingerprint = harness.fingerprint_of(bundle=bundle)
    fingerprint["setup"] = {"engine": engine.serves, "threads": args.threads}
    return report("loadgen", fingerprint, measurements, rows, notes=notes)
