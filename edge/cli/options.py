"""Options shared by several commands, and the configuration they result in."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.config_file import Reader
from edge.sinks.outputs import SINKS

_OUTPUTS = ("max_frames", "every_frame", "summary", "health", "force", *(part.name for part in SINKS))


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the configuration file, the bundle, its precision and --set."""
    parser.add_argument("-c", "--config", type=Path, metavar="FILE.toml", help="file with settings")
    parser.add_argument("--bundle", metavar="DIR", help="bundle to run (default: the reference bundle)")
    parser.add_argument("--precision", help="fp32, int8-cpu, ... (default: auto, the fastest here)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="TABLE.KEY=VALUE", help="override one setting"
    )


def add_force(parser: argparse.ArgumentParser) -> None:
    """Add --force."""
    parser.add_argument("--force", action="store_true", help="replace files that emotion-edge did not write")


def read(args: argparse.Namespace) -> Reader:
    """The configuration file, then --set, then the named options."""
    reader = Reader()
    if args.config:
        reader.file(args.config)
    for text in args.set:
        reader.override(text)
    values = vars(args)
    named = {
        "source.address": values.get("source"),
        "bundle.path": values.get("bundle"),
        "bundle.precision": values.get("precision"),
        **{f"output.{key}": values.get(key) for key in _OUTPUTS},
    }
    for name, value in named.items():
        if value is not None and value is not False:
            reader.set(name, value, "the command line")
    return reader
