"""``emotion-export upgrade``: a bundle of an older format in today's."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.bundle import load

HELP = "rewrite a bundle of an older format in today's; its networks stay as they are"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")


def run(args: argparse.Namespace) -> None:
    """Put the rewritten bundle in the old one's place."""
    from export.bundle.write import draft, write_bundle

    bundle = load(args.bundle)
    write_bundle(args.bundle, lambda fresh: draft(bundle, fresh))
    print(f"wrote {args.bundle}")
