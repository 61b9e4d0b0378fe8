"""Command-line options of ``emotion-export bundle``; imports nothing heavy, so that --help is quick."""

from __future__ import annotations

import argparse
from pathlib import Path

NORMALISE = ("none", "unit", "signed", "imagenet", "standardise")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that ``read`` knows."""
    parser.add_argument(
        "--config", type=Path, metavar="export.toml", help="the options below as keys; and [parts]"
    )
    parser.add_argument(
        "--labels", type=lambda text: [name.strip() for name in text.split(",")], metavar="a,b,c"
    )
    parser.add_argument("--normalise", choices=NORMALISE, help="what was done to the pixels in training")
    parser.add_argument(
        "--step-hz", type=float, metavar="HZ", help="frames per second of the training windows"
    )
    parser.add_argument(
        "--window", type=int, metavar="T", help="frames of a window, where the network leaves it free"
    )
    parser.add_argument("--reset", choices=("never", "every-T", "two-phase"), help="when the stream forgets")
    parser.add_argument(
        "--time-first", action="store_const", const=True, help="the input is (time, batch, ...)"
    )
    parser.add_argument(
        "--data", metavar="SET", help="real sequences: .npz with crops, a video, a folder, demo"
    )
    parser.add_argument("--size", type=int, help="side of a PyTorch network's faces (default: 48)")
    parser.add_argument(
        "--channels", type=int, choices=(1, 3), help="of a PyTorch network's faces (default: 1)"
    )
    parser.add_argument("--align", choices=("eyes", "none"), help="turn the crop until the eyes are level")
    parser.add_argument("--crop-scale", type=float, help="side of the crop / side of the face square")
    parser.add_argument("--name", help="of the bundle, lower case")
    parser.add_argument("--license", help="what the weights may be used for, one sentence")
