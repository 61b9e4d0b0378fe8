"""``emotion-export compare-encoders``: the table from which the reference encoder was chosen."""

from __future__ import annotations

import argparse

from edge.errors import EdgeError
from export.commands.train import add_data, add_work, check_encoders

HELP = "train several encoders briefly and alike, and print a table"


def add_options(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_work(parser)
    parser.add_argument("--epochs", type=int, default=4, help="epochs of training for each (default: 4)")
    parser.add_argument("encoders", nargs="*", metavar="ENCODER", help="names of encoders (default: all)")


def run(args: argparse.Namespace) -> None:
    """Train and print one row per encoder."""
    from export.train import train
    from export.train.encoders import NAMED

    if args.epochs < 1:
        raise EdgeError(f"--epochs is {args.epochs}, expected 1 or more")
    names = args.encoders or list(NAMED)
    check_encoders(names)
    train.compare_encoders(args.data, args.work, names, args.epochs)
