"""``emotion-edge run``: read a camera or file and write estimates."""

from __future__ import annotations

import argparse

from edge.capture.sources import help_text
from edge.cli import options
from edge.config import Config
from edge.sinks.outputs import SINKS

HELP = "read a camera or file and write estimates"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the source, the settings, and an option for each output."""
    parser.add_argument("source", nargs="?", metavar="SOURCE", help=help_text())
    options.add_settings(parser)
    for part in SINKS:
        parser.add_argument(f"--{part.name}", metavar=part.metavar, help=part.good_for)
    parser.add_argument("--max-frames", type=int, metavar="N", help="stop after N frames")
    parser.add_argument("--every-frame", action="store_true", help="also write JSON lines between two steps")
    parser.add_argument(
        "--summary", choices=("text", "json"), help="what the run did: text in the log, json on stdout"
    )
    parser.add_argument("--health", metavar="PATH|PORT", help="health as JSON: a file or a local port")
    options.add_force(parser)


def run(args: argparse.Namespace) -> None:
    """Run until the source ends."""
    from edge import service
    from edge.deploy.defaults import under_supervisor

    def read() -> Config:
        return under_supervisor(options.read(args).config)

    service.run(read(), read)
