"""``emotion-export train``: the reference model, from the data file to its bundle."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edge.errors import EdgeError

HELP = "train the reference model and write its bundle; resumes"


def add_options(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    add_work(parser)
    parser.add_argument("--encoder", help="plain-m (default), plain-strided, ...; an unknown name lists all")
    parser.add_argument("--family", help="cnn, cnn-gru (default), cnn-lstm, ...; an unknown name lists all")
    parser.add_argument("--epochs", type=int, help="of the frame stage (default: 40)")
    parser.add_argument("--seed", type=int, help="the first one (default: 11)")
    parser.add_argument("--seeds", type=int, default=3, help="networks to train; the best ships (default: 3)")
    parser.add_argument(
        "--together", type=int, default=0, metavar="EPOCHS",
        help="further epochs in which the networks learn the mean answer of all "
        "(default: 0; helps plain-strided only)",
    )  # fmt: skip
    parser.add_argument(
        "--fine-tune", type=int, default=3, metavar="EPOCHS",
        help="last epochs, of quantization-aware training (default: 3; with 0 INT8 loses more)",
    )  # fmt: skip
    parser.add_argument(
        "--trial", action="store_true", help="measure on the development fold; PublicTest is for releases"
    )
    add_clips(parser)


def add_data(parser: argparse.ArgumentParser) -> None:
    """--data, the file that every command about the reference model needs."""
    parser.add_argument("--data", type=Path, required=True, help="ferplus_webp.npz")


def add_work(parser: argparse.ArgumentParser) -> None:
    """--work, where a training stage keeps its checkpoints."""
    parser.add_argument("--work", type=Path, default=Path("work"), help="checkpoints (default: %(default)s)")


def add_clips(parser: argparse.ArgumentParser) -> None:
    """--clips and --detector, for figures on video."""
    parser.add_argument(
        "--clips",
        type=Path,
        nargs="+",
        default=[],
        metavar="VIDEO",
        help="measure how steady answers are here",
    )
    parser.add_argument("--detector", default="", metavar="FILE", help="a YuNet file, for --clips")


def run(args: argparse.Namespace) -> None:
    """Train, measure, write the bundle; exit code 1 where a precision could not be listed."""
    from export.train import train
    from export.train.batches import FrameRecipe
    from export.train.heads import FAMILIES
    from export.train.sequences import SequenceTrainingRecipe

    given = {"encoder": args.encoder, "epochs": args.epochs, "seed": args.seed}
    frames = replace(FrameRecipe(), **{key: value for key, value in given.items() if value is not None})
    check_encoders([frames.encoder])
    family = args.family or SequenceTrainingRecipe.family
    if family not in FAMILIES:
        raise EdgeError(f"unknown family {family!r}; choose one of {', '.join(FAMILIES)}")
    over_time = replace(SequenceTrainingRecipe(), family=family)
    for name, value, lowest in (
        ("seeds", args.seeds, 1), ("epochs", frames.epochs, 1), ("seed", frames.seed, 0),
        ("together", args.together, 0), ("fine-tune", args.fine_tune, 0),
    ):  # fmt: skip
        if value < lowest:
            raise EdgeError(f"--{name} is {value}, expected {lowest} or more")
    complete = train.train(
        args.data, args.work, args.out, frames, over_time, together_epochs=args.together,
        fine_tune_epochs=args.fine_tune, seeds=args.seeds, clips=args.clips, detector=args.detector,
        trial=args.trial,
    )  # fmt: skip
    if not complete:
        raise SystemExit(1)


def check_encoders(names: Sequence[str]) -> None:
    """EdgeError that lists the encoders where one of ``names`` is none of them."""
    from export.train.networks import ENCODERS

    for name in names:
        if name not in ENCODERS:
            raise EdgeError(f"unknown encoder {name!r}; choose from {', '.join(ENCODERS)}")
