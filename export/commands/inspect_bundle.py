"""``emotion-export inspect``: what a bundle holds and where it can run."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "show what a bundle holds and where it can run"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def run(args: argparse.Namespace) -> None:
    """Print the report."""
    from export.bundle.describe import inspect

    print(inspect(args.bundle, args.json))
