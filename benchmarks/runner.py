"""One benchmark from its options to its report: outputs are checked, sensors sampled, results written."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from benchmarks.core.report import Report, encoded, missed, show
from benchmarks.core.report_files import add_force, report_files
from benchmarks.core.stats import scipy_stats
from benchmarks.machine.sensors import Sampler, Sensors
from benchmarks.pages.render import page, requirements
from edge.system.process import keep_large_buffers

_NO_SENSORS = {"time_s", "error"}  # keys of a sample on every machine
Run = Callable[[argparse.Namespace], Report]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Where the report goes."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report, raw samples included")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    add_force(parser)


def measure(kind: str, run: Run, args: argparse.Namespace) -> int:
    """Run a benchmark, print and write its report; 1 if it is a selftest that missed a target, else 0."""
    check(args.html)
    with report_files(args) as files:
        keep_large_buffers()  # as the program itself does
        before = os.getloadavg()[0]
        report = run(args) if kind == "soak" else with_sensors(run, args)  # a soak has its own
        report["fingerprint"] |= {"load_1min_before": before, "load_1min_after": os.getloadavg()[0]}
        print(show(report))
        if "json" in files:
            files["json"].write(encoded(report))
        if "html" in files:
            files["html"].write(page(report).encode())
    return int(kind == "selftest" and bool(missed(report)))


def check(html: Path | None = None) -> None:
    """Raise DependencyError for what the report needs, before a run that may take hours."""
    if find_spec("scipy") is None:  # not imported before the run: a soak would see its memory
        scipy_stats()
    if html is not None:
        requirements()


def with_sensors(run: Run, args: argparse.Namespace, sensors: Sensors | None = None) -> Report:
    """A report with the samples of the sensors during the run, if there are any."""
    with Sampler(sensors or Sensors()) as sampler:
        report = run(args)
    present = {key for sample in sampler.samples for key, value in sample.items() if value is not None}
    if present - _NO_SENSORS:
        report.setdefault("sensors", sampler.samples)
    return report
