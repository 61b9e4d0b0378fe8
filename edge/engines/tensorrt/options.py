"""Options of ``engine``, which three command lines have; nothing of TensorRT is imported for them."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """What to build, for how many faces, and where to."""
    parser.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE", help="default: the one that ships")
    parser.add_argument(
        "--precision", default="auto", help="int8, fp16, fp32 (default: auto, first to build)"
    )
    parser.add_argument("--faces", type=int, default=8, help="most faces in one step (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: engines in the user's cache")
    parser.add_argument("--workspace-mb", type=int, default=256, help="memory of the builder's trials")
    parser.add_argument("--capability", default="", metavar="8.6", help="of another GPU (TensorRT-RTX only)")
