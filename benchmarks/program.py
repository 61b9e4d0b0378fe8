"""The command line of the benchmarks: ``emotion-bench``, also ``python -m benchmarks``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from types import ModuleType

from benchmarks import runner
from benchmarks.commands import age, compare, loadgen, model, peers, pipeline, selftest, soak, start, sweep
from edge.system import journal
from edge.system.command import finish

MEASURING: dict[str, ModuleType] = {
    "model": model, "pipeline": pipeline, "age": age, "sweep": sweep, "soak": soak,
    "start": start, "loadgen": loadgen, "selftest": selftest, "peers": peers,
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 bad result, 2 error, 130 interrupted.

    A bad result is a second report that `compare` finds slower, or a `selftest` that misses its targets.
    """
    journal.configure()
    args = _parser().parse_args(argv)
    code = 0

    def work() -> None:
        nonlocal code
        code = args.command(args)

    return finish("emotion-bench", work, "nothing was written") or code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="emotion-bench", description="Measure emotion-edge on this machine."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for kind, module in {**MEASURING, "compare": compare}.items():
        command = commands.add_parser(kind, help=module.HELP, description=module.HELP)
        module.add_options(command)
        command.set_defaults(command=module.run)
        if kind in MEASURING:
            runner.add_options(command)
            command.set_defaults(command=partial(runner.measure, kind, module.run))
    return parser
