"""Command line: parse the arguments and run one command. An error is one line and exit code 2."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from edge.cli import check, config, demo, doctor, engine, fetch, run, service, status
from edge.errors import require
from edge.system import journal
from edge.system.command import finish
from edge.system.process import keep_large_buffers, stay_in_memory
from edge.version import __version__

COMMANDS = {
    "run": run,
    "check": check,
    "demo": demo,
    "config": config,
    "engine": engine,
    "service": service,
    "status": status,
    "doctor": doctor,
    "fetch": fetch,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 2 an error the user can fix, 130 interrupted.

    `doctor` and `status` return 1 for a warning and 2 for a fault.
    """
    journal.configure()
    args = _parser().parse_args(argv)

    def work() -> int | None:
        keep_large_buffers()
        stay_in_memory()  # before the large libraries are loaded
        if args.run not in (doctor.run, status.run):  # which tell what is missing themselves
            # Modules may import cv2 at their top, so its absence is reported here, in one line.
            require("cv2", "pip install 'emotion-edge[cpu]', or on a board: sudo apt install python3-opencv")
        code: int | None = args.run(args)
        return code

    reads = args.run in (run.run, demo.run)
    return finish("emotion-edge", work, "no frame was processed" if reads else "nothing is half-written")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="emotion-edge", description="Apparent facial expression from video, on small machines."
    )
    parser.add_argument("--version", action="version", version=f"emotion-edge {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_options(command)
        command.set_defaults(run=module.run)
    return parser
