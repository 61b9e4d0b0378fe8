"""``emotion-export face-check``: an output that tells whether a crop shows a face, on the frozen encoder."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from edge.bundle import load
from export.commands.train import add_data

HELP = "add an output that tells whether a crop shows a face, to a bundle that `train` wrote"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
    add_data(parser)
    parser.add_argument(
        "--photographs", type=Path, required=True, metavar="FOLDER",
        help="pictures without a face, to train on: rooms, things, animals",
    )  # fmt: skip
    parser.add_argument(
        "--dev-photographs", type=Path, required=True, metavar="FOLDER",
        help="other pictures without a face, to judge by",
    )  # fmt: skip
    parser.add_argument("--epochs", type=int, help="epochs of training (default: 12)")


def run(args: argparse.Namespace) -> None:
    """Write the bundle anew and print the figures as JSON."""
    from export.data import ferplus
    from export.train.face_check import FaceCheckRecipe, add_face_check
    from export.train.face_crops import photographs

    folders = photographs(args.photographs), photographs(args.dev_photographs)
    recipe = FaceCheckRecipe()
    if args.epochs:
        recipe = replace(recipe, epochs=args.epochs)
    figures = add_face_check(load(args.bundle), ferplus.load(args.data), *folders, recipe)
    print(json.dumps(figures, indent=1))
