"""The command line of the benchmarks: ``emotion-bench``, also ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.command import finish
from edge.errors import ConfigError
from edge.files import replace
from edge.health import logs

# Each is a module with HELP, add_options(parser) and run(args) -> report.
KINDS = ("model", "pipeline", "age", "sweep", "soak", "start", "loadgen", "selftest", "peers")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one benchmark and return the exit code: 0 done, 1 `compare` found B slower, 2 a fault, 130."""
    logs.configure()
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
        command.set_defaults(command=lambda args, run=module.run: _measure(run, args))
    compare = importlib.import_module("benchmarks.compare")
    command = commands.add_parser("compare", help="is the second report slower than the first?")
    compare.add_options(command)
    command.set_defaults(command=compare.run)
    return parser


def _measure(run: Any, args: argparse.Namespace) -> int:
    from benchmarks.report import show, write

    for path in (args.json, args.html):
        if path is not None and not path.absolute().parent.is_dir():
            raise ConfigError(f"{path} cannot be written: there is no folder {path.absolute().parent}")
    made = run(args)
    print(show(made))
    if args.json:
        write(args.json, made)
    if args.html:
        from benchmarks.page import page

        replace(args.html, page(made).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
