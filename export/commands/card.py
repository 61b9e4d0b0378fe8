"""``emotion-export card``: measure a trained bundle again."""

from __future__ import annotations

import argparse
from pathlib import Path

from export.commands.train import add_clips, add_data

HELP = "measure a trained bundle again and renew its model card"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
    add_data(parser)
    add_clips(parser)


def run(args: argparse.Namespace) -> None:
    """Measure and put the renewed bundle in the old one's place."""
    from export.card.card import renew

    renew(args.bundle, args.data, args.clips, args.detector)
