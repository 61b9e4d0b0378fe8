"""``emotion-export evaluate``: figures on a labeled set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edge.bundle import REFERENCE
from edge.errors import EdgeError

HELP = "figures on a labeled set, per class and per group"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="PATH", help="of the set")
    parser.add_argument(
        "--bundle", type=Path, default=REFERENCE, metavar="DIR", help="default: the reference model"
    )
    parser.add_argument("--dataset", required=True, help="crema-d, ravdess, afew, dfew, ferplus or folder")
    parser.add_argument("--limit", type=int, metavar="N", help="a random choice of N clips")
    parser.add_argument("--cropped", action="store_true", help="pictures are faces already: no detector")
    parser.add_argument(
        "--detector", default="", metavar="FILE", help="a YuNet file (default: the fetched one)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures")


def run(args: argparse.Namespace) -> None:
    """Print the table; --json takes all figures."""
    from export.card.evaluate import evaluate
    from export.metrics.set_report import table

    if args.json and not args.json.parent.is_dir():  # before hours of work, not after
        raise EdgeError(f"no folder {args.json.parent}; make it, or pass another --json")
    if args.limit is not None and args.limit < 1:
        raise EdgeError(f"--limit is {args.limit}, expected 1 or more clips")
    figures = evaluate(args.bundle, args.dataset, args.path, args.limit, args.cropped, args.detector)
    print(table(figures))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
