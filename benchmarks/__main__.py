"""The command line of the benchmarks: ``emotion-bench``, also ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.core.report import Report, check_writable, missed, show, write
from benchmarks.machine.sensors import Sampler, Sensors
from edge.errors import ConfigError, require
from edge.system import journal
from edge.system.atomic_write import atomic_write
from edge.system.command import finish

# Each is a module with HELP, add_options(parser) and run(args) -> report.
KINDS = ("model", "pipeline", "age", "sweep", "soak", "start", "loadgen", "selftest", "peers")
_NO_SENSORS = {"time_s", "error"}  # keys of a sample that every machine may have


def main(argv: Sequence[str] | None = None) -> int:
    """Run one benchmark and return the exit code: 0, 2 a fault, 130 interrupted, or 1.

    1 means that `compare` found the second report slower, or that `selftest` missed what it asks.
    """
    journal.configure()
    args = _parser().parse_args(argv)
    answer = [0]

    def work() -> None:
        answer[0] = args.command(args)

    return finish("emotion-bench", work, "nothing was written") or answer[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="emotion-bench", description="Measure emotion-edge on this machine."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for kind in KINDS:
        module = importlib.import_module(f"benchmarks.{kind}")
        command = commands.add_parser(kind, help=module.HELP)
        module.add_options(command)
        command.add_argument(
            "--json", type=Path, metavar="FILE", help="keep the report, raw samples included"
        )
        command.add_argument("--html", type=Path, metavar="FILE", help="a page with plots")
        command.set_defaults(command=lambda args, made=module, kind=kind: _measure(kind, made.run, args))
    compare = importlib.import_module("benchmarks.commands.compare")
    command = commands.add_parser("compare", help="is the second report slower than the first?")
    compare.add_options(command)
    command.set_defaults(command=compare.run)
    return parser


def _measure(kind: str, run: Any, args: argparse.Namespace) -> int:
    _check_outputs(args.json, args.html)
    before = os.getloadavg()[0]
    made = run(args) if kind == "soak" else _beside_sensors(run, args)  # a soak has its own
    made["fingerprint"] |= {"load_1min_before": before, "load_1min_after": os.getloadavg()[0]}
    print(show(made))
    if args.json:
        write(args.json, made)
    if args.html:
        from benchmarks.pages.page import page

        atomic_write(args.html, page(made).encode())
    return int(kind == "selftest" and bool(missed(made)))


def _check_outputs(json: Path | None, html: Path | None) -> None:
    """What would lose the report after a run of an hour is told before it."""
    check_writable(json)
    check_writable(html)
    if json is not None and html is not None and json.absolute() == html.absolute():
        raise ConfigError(f"--json and --html are both {json}; give two files")
    if html is not None:
        require("matplotlib", "pip install 'emotion-edge[demo]'")


def _beside_sensors(run: Any, args: argparse.Namespace, sensors: Sensors | None = None) -> Report:
    """A report with what the sensors said meanwhile, where there are any."""
    with Sampler(sensors or Sensors()) as sampler:
        made: Report = run(args)
    found = {key for sample in sampler.samples for key, value in sample.items() if value is not None}
    if found - _NO_SENSORS:
        made.setdefault("sensors", sampler.samples)
    return made


if __name__ == "__main__":
    sys.exit(main())
