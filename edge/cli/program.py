"""Command line: parse the arguments and run one command. An error is one line and exit code 2."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from edge.cli import check, config, demo, engine, fetch, run, service
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
    "fetch": fetch,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 2 an error the user can fix, 130 interrupted."""
    journal.configure()
    args = _parser().parse_args(argv)

    def work() -> None:
        keep_large_buffers()
        stay_in_memory()  # before the large libraries are loaded
        # Modules may import cv2 at their top, so its absence is reported here, in one line.
        require("cv2", "pip install 'emotion-edge[cpu]', or on a board: sudo apt install python3-opencv")
        args.run(args)

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
