"""``doctor`` and ``status``: they work where a library is broken that every other command loads."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from types import ModuleType

from edge.cli import doctor, status
from edge.system import journal
from edge.system.command import finish
from edge.version import __version__

COMMANDS: Mapping[str, ModuleType] = {"status": status, "doctor": doctor}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the two and return the exit code: 0, 1 for a warning, 2 for a fault or a wrong option."""
    journal.configure()
    args = parser(COMMANDS).parse_args(argv)
    return finish("emotion-edge", lambda: args.run(args), "nothing is half-written")


def parser(commands: Mapping[str, ModuleType]) -> argparse.ArgumentParser:
    """The parser of ``emotion-edge`` with these commands."""
    whole = argparse.ArgumentParser(
        prog="emotion-edge", description="Apparent facial expression from video, on small machines."
    )
    whole.add_argument("--version", action="version", version=f"emotion-edge {__version__}")
    each = whole.add_subparsers(required=True, metavar="COMMAND")
    for name, module in commands.items():
        command = each.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_options(command)
        command.set_defaults(run=module.run)
    whole.set_defaults(commands={name: module.HELP for name, module in commands.items()})  # for the manual
    return whole
