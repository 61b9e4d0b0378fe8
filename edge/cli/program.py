"""Command line: parse the arguments and run one command. An error is one line and exit code 2."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from edge.cli import aim, check, config, demo, engine, fetch, first_aid, kit, run, service
from edge.errors import require
from edge.system import journal
from edge.system.command import finish
from edge.system.process import keep_large_buffers, stay_in_memory

COMMANDS = {
    "run": run,
    "aim": aim,
    "check": check,
    "demo": demo,
    "config": config,
    "engine": engine,
    "service": service,
    **first_aid.COMMANDS,
    "fetch": fetch,
    "kit": kit,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 2 an error the user can fix, 130 interrupted."""
    journal.configure()
    args = _parser().parse_args(argv)

    def work() -> int | None:
        keep_large_buffers()
        stay_in_memory()  # before the large libraries are loaded
        # Modules may import cv2 at their top, so its absence is reported here, in one line.
        require("cv2", "pip install 'emotion-edge[cpu]', or on a board: sudo apt install python3-opencv")
        code: int | None = args.run(args)
        return code

    reads = args.run in (run.run, demo.run)
    return finish("emotion-edge", work, "no frame was processed" if reads else "nothing is half-written")


def _parser() -> argparse.ArgumentParser:
    return first_aid.parser(COMMANDS)
