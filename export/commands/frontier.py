"""``emotion-export frontier``: accuracy of the encoders against the time of their step."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from export.commands.train import check_encoders

HELP = "tell which encoders are worth their time: a table, and a picture"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results", type=Path, default=Path("export/frontier.json"), metavar="FILE",
        help="where the figures are kept (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--work", type=Path, metavar="FOLDER", help="take accuracies from this folder of compare-encoders"
    )
    parser.add_argument(
        "--epochs", type=int, default=15, help="of networks trained that long only (default: %(default)s)"
    )
    parser.add_argument(
        "--times", metavar="PROCESSOR", help="measure times here, and keep them under this name"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the picture, a PNG or an SVG")
    parser.add_argument("encoders", nargs="*", metavar="ENCODER", help="further encoders, for their times")


def run(args: argparse.Namespace) -> None:
    """Collect, measure and draw what is asked for, and print the table."""
    from export.train import frontier

    check_encoders(args.encoders)
    rows = frontier.read(args.results)
    if args.work:
        rows = frontier.collect(rows, args.work, args.epochs)
    with tempfile.TemporaryDirectory() as folder:
        rows = frontier.planned(rows, args.encoders, Path(folder))
        if args.times:
            frontier.measure(rows, args.times, Path(folder))
    if args.work or args.times or args.encoders:
        frontier.write(args.results, rows)
    if args.plot:
        frontier.draw(rows, args.plot)
    print(frontier.table(rows))
