"""``emotion-export verify``: repeat from disk what was proven of a bundle."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from edge.system.output_file import OutputFile, refuse_inputs
from edge.system.steps import Steps

HELP = "repeat the comparisons that a bundle was made with"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
    parser.add_argument(
        "--reference", type=Path, metavar="window.onnx", help="ONNX file that the bundle was made from"
    )
    parser.add_argument(
        "--data",
        default="demo",
        metavar="SET",
        help="faces to compare on: .npz, a video, a folder (default: %(default)s)",
    )
    parser.add_argument(
        "--budgets", type=Path, metavar="gate.toml", help="file that says how much may be lost"
    )
    parser.add_argument("--page", type=Path, metavar="FILE", help="also write the result as an HTML page")
    parser.add_argument("--force", action="store_true", help="replace a file that emotion-edge did not write")


def run(args: argparse.Namespace) -> None:
    """Print the checks; exit code 1 where one does not hold."""
    from export.card.verify import verify
    from export.int8.gate import read_budgets

    budgets = read_budgets(args.budgets) if args.budgets else None
    with ExitStack() as stack:
        page = stack.enter_context(_page(args)) if args.page else None
        steps = stack.enter_context(Steps("emotion-export"))
        if not verify(args.bundle, args.reference, args.data, page, budgets, steps):
            raise SystemExit(1)


def _page(args: argparse.Namespace) -> OutputFile:
    read = [("a file of the bundle", args.bundle), ("a file of --data", Path(args.data))]
    read += [("an input", path) for path in (args.reference, args.budgets) if path]
    refuse_inputs({"--page": args.page}, read)
    return OutputFile(args.page, force=args.force, small=True)
