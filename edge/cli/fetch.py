"""``emotion-edge fetch``: download the face detector."""

from __future__ import annotations

import argparse

HELP = "download the YuNet face detector (233 kB) into the user's cache"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the option for a local copy."""
    parser.add_argument("--from", dest="origin", metavar="FILE", help="use this file instead of downloading")


def run(args: argparse.Namespace) -> None:
    """Download the detector and print its path."""
    from edge.faces.fetch import YUNET_URL, fetch_detector

    print(fetch_detector(url=args.origin or YUNET_URL))
