"""``emotion-export sensitivity``: what each layer costs in INT8."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from edge.system.output_file import OutputFile, refuse_inputs

HELP = "tell which layer loses how much in INT8, and which to leave in float"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
    parser.add_argument(
        "--ranges",
        type=Path,
        required=True,
        metavar="FILE",
        help="ranges.json that emotion-calibrate ranges wrote",
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="SET", help="labeled faces to measure the loss on"
    )
    parser.add_argument(
        "--dialect", choices=("cpu", "trt"), default="cpu", help="for processors (default) or for TensorRT"
    )
    parser.add_argument(
        "--budgets", type=Path, metavar="gate.toml", help="file that says how much may be lost"
    )
    parser.add_argument("--plot", type=Path, metavar="OUT.png", help="draw the costs of all layers")
    parser.add_argument("--force", action="store_true", help="replace a file that emotion-edge did not write")


def run(args: argparse.Namespace) -> None:
    """Print the costs and the choice."""
    from export.int8.gate import read_budgets
    from export.int8.sensitivity import run as measure

    with ExitStack() as stack:
        plot = stack.enter_context(_plot(args)) if args.plot else None
        measure(args.bundle, args.ranges, args.dialect, args.data, read_budgets(args.budgets), plot)


def _plot(args: argparse.Namespace) -> OutputFile:
    read = [("a file of the bundle", args.bundle), ("a file of --data", args.data), ("--ranges", args.ranges)]
    refuse_inputs({"--plot": args.plot}, read)
    return OutputFile(args.plot, (".png",), args.force, small=True)
