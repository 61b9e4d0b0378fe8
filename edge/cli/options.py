"""Options that several commands share, and the configuration that they add up to."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.config_file import Reader
from edge.sinks.outputs import SINKS

_OUTPUTS = ("max_frames", "every_frame", "health", *(part.name for part in SINKS))


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Options that say what to run."""
    parser.add_argument("-c", "--config", type=Path, metavar="FILE.toml")
    parser.add_argument("--bundle", metavar="DIR", help="bundle to run (default: the one that ships)")
    parser.add_argument("--precision", help="fp32, int8-cpu, ... (default: auto, what `check` found fastest)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="TABLE.KEY=VALUE", help="override one setting"
    )


def read(args: argparse.Namespace) -> Reader:
    """The configuration file, then --set, then the options that have a name of their own."""
    reader = Reader()
    if args.config:
        reader.file(args.config)
    for text in args.set:
        reader.override(text)
    given = vars(args)
    named = {
        "source.address": given.get("source"),
        "bundle.path": given.get("bundle"),
        "bundle.precision": given.get("precision"),
        **{f"output.{key}": given.get(key) for key in _OUTPUTS},
    }
    for name, value in named.items():
        if value is not None and value is not False:
            reader.set(name, value, "the command line")
    return reader
