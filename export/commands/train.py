"""``emotion-export train``: the reference model, from the data file to its bundle."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edge.errors import EdgeError

HELP = "train the reference network and write its bundle; goes on where it was stopped"


def add_options(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="write the bundle to this folder")
    add_work(parser)
    parser.add_argument(
        "--encoder",
        help="the convolutional part: plain-m (default), plain-strided, ..., or a text such as "
        "'s2 32 | 64,64 | 128,128'; a wrong name lists all",
    )
    parser.add_argument(
        "--family", help="kind of network: cnn, cnn-gru (default), cnn-lstm, ...; a wrong name lists all"
    )
    parser.add_argument("--epochs", type=int, help="epochs of training on single pictures (default: 40)")
    parser.add_argument("--seed", type=int, help="first seed of the random numbers (default: 11)")
    parser.add_argument(
        "--seeds", type=int, default=3, help="number of networks to train; the best one is kept (default: 3)"
    )
    parser.add_argument(
        "--together", type=int, default=0, metavar="EPOCHS",
        help="further epochs in which the networks learn the mean answer of all "
        "(default: 0; helps plain-strided only)",
    )  # fmt: skip
    parser.add_argument(
        "--fine-tune", type=int, default=3, metavar="EPOCHS",
        help="final epochs that prepare the network for INT8 (default: 3; with 0 INT8 loses more)",
    )  # fmt: skip
    add_teacher(parser)
    parser.add_argument(
        "--trial",
        action="store_true",
        help="measure on the faces for development, not on those kept for releases",
    )
    add_clips(parser)


def add_data(parser: argparse.ArgumentParser) -> None:
    """--data, the file that every command about the reference model needs."""
    parser.add_argument("--data", type=Path, required=True, help="the training faces, ferplus_webp.npz")


def add_work(parser: argparse.ArgumentParser) -> None:
    """--work, where a training stage keeps its checkpoints."""
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("work"),
        help="folder for checkpoints; a later call goes on there (default: %(default)s)",
    )


def add_teacher(parser: argparse.ArgumentParser) -> None:
    """--teacher and --taught, for a network that learns from another one."""
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="FOLDER",
        help="a bundle, or a folder with frames.pt, whose answers to each picture are learnt, too",
    )
    parser.add_argument(
        "--taught", type=share, default=0.7, metavar="SHARE",
        help="how much these answers count; the rest are the votes (default: %(default)s)",
    )  # fmt: skip


def share(text: str) -> float:
    """Option type: above 0, up to 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share above 0 and up to 1")
    return value


def add_clips(parser: argparse.ArgumentParser) -> None:
    """--clips and --detector, for figures on video."""
    parser.add_argument(
        "--clips",
        type=Path,
        nargs="+",
        default=[],
        metavar="VIDEO",
        help="videos on which to measure how steady the answers are",
    )
    parser.add_argument(
        "--detector", default="", metavar="FILE", help="YuNet file that finds the faces of --clips"
    )


def run(args: argparse.Namespace) -> None:
    """Train, measure, write the bundle; exit code 1 where a precision could not be listed."""
    from export.train import train
    from export.train.batches import FrameRecipe
    from export.train.heads import FAMILIES
    from export.train.sequences import SequenceTrainingRecipe

    given = {"encoder": args.encoder, "epochs": args.epochs, "seed": args.seed}
    given = {key: value for key, value in given.items() if value is not None}
    frames = replace(FrameRecipe(), distil=args.taught, **given)
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
        trial=args.trial, teacher=args.teacher,
    )  # fmt: skip
    if not complete:
        raise SystemExit(1)


def check_encoders(names: Sequence[str]) -> None:
    """EdgeError that lists the encoders where one of ``names`` neither names nor describes one."""
    from export.train.encoders import parse

    for name in names:
        parse(name)
