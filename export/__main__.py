"""The command line of the export stage. A fault is one line and exit code 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edge.errors import EdgeError, require


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    args = _parser().parse_args(argv)
    try:
        for module in ("cv2", "torch", "onnx", "onnxruntime"):
            require(module, "pip install -c constraints.txt 'emotion-edge[export]'")
        args.command(args)
    except EdgeError as error:
        print(f"emotion-export: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nemotion-export: interrupted; the same command resumes after the last epoch", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="emotion-export", description="Train and export streaming bundles.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train the reference model and write its bundle; resumes")
    train.add_argument("--data", type=Path, required=True, help="ferplus_webp.npz")
    train.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    train.add_argument("--work", type=Path, default=Path("work"), help="checkpoints (default: %(default)s)")
    train.add_argument("--encoder", help="one of export.networks.ENCODERS")
    train.add_argument("--epochs", type=int, help="of the frame stage")
    train.add_argument("--seed", type=int)
    train.set_defaults(command=_train)

    compare = commands.add_parser(
        "compare-encoders", help="short equal training of several encoders, a table"
    )
    compare.add_argument("--data", type=Path, required=True, help="ferplus_webp.npz")
    compare.add_argument("--work", type=Path, default=Path("work"), help="checkpoints (default: %(default)s)")
    compare.add_argument("--epochs", type=int, default=4)
    compare.add_argument("encoders", nargs="*", help="default: all")
    compare.set_defaults(command=_compare)
    return parser


def _train(args: argparse.Namespace) -> None:
    from export import train
    from export.train_frames import FrameRecipe
    from export.train_sequences import SequenceTrainingRecipe

    given = {"encoder": args.encoder, "epochs": args.epochs, "seed": args.seed}
    frames = replace(FrameRecipe(), **{key: value for key, value in given.items() if value is not None})
    _known([frames.encoder])
    over_time = replace(SequenceTrainingRecipe(), seed=frames.seed)
    train.train(args.data, args.work, args.out, frames, over_time)


def _compare(args: argparse.Namespace) -> None:
    from export import train
    from export.networks import ENCODERS

    names = args.encoders or list(ENCODERS)
    _known(names)
    train.compare_encoders(args.data, args.work, names, args.epochs)


def _known(names: Sequence[str]) -> None:
    from export.networks import ENCODERS

    for name in names:
        if name not in ENCODERS:
            raise EdgeError(f"unknown encoder {name!r}; there are {', '.join(ENCODERS)}")


if __name__ == "__main__":
    sys.exit(main())
