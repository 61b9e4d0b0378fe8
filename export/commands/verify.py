"""``emotion-export verify``: repeat from disk what was proven of a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "repeat from disk what was proven of a bundle"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("--reference", type=Path, metavar="window.onnx", help="the graph it was made from")
    parser.add_argument("--data", default="demo", metavar="SET", help="real sequences (default: %(default)s)")
    parser.add_argument("--budgets", type=Path, metavar="gate.toml", help="what a quantized file may lose")
    parser.add_argument("--page", type=Path, help="write the result as an HTML page, too")


def run(args: argparse.Namespace) -> None:
    """Print the checks; exit code 1 where one does not hold."""
    from export.card.verify import verify
    from export.int8.gate import read_budgets

    budgets = read_budgets(args.budgets) if args.budgets else None
    if not verify(args.bundle, args.reference, args.data, args.page, budgets):
        raise SystemExit(1)
