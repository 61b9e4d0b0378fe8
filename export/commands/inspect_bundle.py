"""``emotion-export inspect``: what a bundle holds and where it can run."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "what a bundle holds and where it can run"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="DIR")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(args: argparse.Namespace) -> None:
    """Print the report."""
    from export.bundle.describe import inspect

    print(inspect(args.bundle, args.json))
