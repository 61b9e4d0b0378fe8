"""``emotion-edge fetch``: the face detector's file."""

from __future__ import annotations

import argparse

HELP = "download the YuNet face detector (233 kB) into the user's cache"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Where to take it from."""
    parser.add_argument("--from", dest="origin", metavar="FILE", help="take this file instead of downloading")


def run(args: argparse.Namespace) -> None:
    """Fetch it and print its path."""
    from edge.faces.fetch import YUNET_URL, fetch_detector

    print(fetch_detector(url=args.origin or YUNET_URL))
