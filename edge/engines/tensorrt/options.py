"""Options of ``engine``, shared by three command lines; importing them does not import TensorRT."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add the bundle, its precision, the number of faces and the output folder."""
    parser.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        metavar="BUNDLE",
        help="folder of the bundle (default: the reference bundle)",
    )
    parser.add_argument(
        "--precision", default="auto", help="int8, fp16, fp32 (default: auto, the first that builds)"
    )
    parser.add_argument("--faces", type=int, default=8, help="most faces in one step (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write to this folder (default: engines in the user's cache)"
    )
    parser.add_argument(
        "--workspace-mb", type=int, default=256, metavar="MB", help="memory to try kernels in (default: 256)"
    )
    parser.add_argument(
        "--capability", default="", metavar="8.6", help="build for another GPU (TensorRT-RTX only)"
    )
