"""``emotion-export compare-encoders``: the table from which the reference encoder was chosen."""

from __future__ import annotations

import argparse

from edge.errors import EdgeError
from export.commands.train import add_data, add_teacher, add_work, check_encoders

HELP = "train several encoders briefly and alike, and print a table"


def add_options(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_work(parser)
    parser.add_argument("--epochs", type=int, default=4, help="epochs of training for each (default: 4)")
    parser.add_argument("--seed", type=int, default=11, help="seed of the random numbers (default: 11)")
    parser.add_argument(
        "--calm", type=float, default=0.0, metavar="SHARE",
        help="share of the faces that are shown without a camera's faults (default: 0)",
    )  # fmt: skip
    add_teacher(parser)
    parser.add_argument(
        "encoders", nargs="*", metavar="ENCODER",
        help="names, or texts such as 's2 32 | 64,64 | 128,128' (default: all that have a name)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> None:
    """Train and print one row per encoder."""
    from export.train import train
    from export.train.batches import FrameRecipe
    from export.train.encoders import NAMED

    if args.epochs < 1:
        raise EdgeError(f"--epochs is {args.epochs}, expected 1 or more")
    if not 0 <= args.calm <= 1:
        raise EdgeError(f"--calm is {args.calm}, expected 0 to 1")
    names = args.encoders or list(NAMED)
    check_encoders(names)
    recipe = FrameRecipe(epochs=args.epochs, calm=args.calm, no_faces=0.0, seed=args.seed, distil=args.taught)
    train.compare_encoders(args.data, args.work, names, recipe, args.teacher)
