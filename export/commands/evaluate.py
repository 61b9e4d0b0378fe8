"""``emotion-export evaluate``: figures on a labeled set, or of what is on screen on any clips."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from pathlib import Path

from edge.bundle import REFERENCE
from edge.errors import EdgeError
from edge.system.output_file import OutputFile, refuse_inputs

SCHEMA = "emotion-edge-figures/1"
HELP = "measure how often a bundle is right on labeled videos, by label and by group"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", type=Path, metavar="PATH", help="folder or file of the data set; generated: FER+"
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        default=REFERENCE,
        metavar="DIR",
        help="folder of the bundle (default: the reference bundle)",
    )
    parser.add_argument(
        "--dataset",
        required=True,
        metavar="NAME",
        help="its layout: crema-d, ravdess, afew, dfew, ferplus or folder; pairs: the same people "
        "neutral and expressive, never to choose a model by; clips: any videos, how steady the "
        "label is; faceless: videos without a face; generated: sequences and scenes from FER+ in PATH",
    )
    pairs = parser.add_argument_group("--dataset pairs", "two pictures of each person, matched by file name")
    where = "folder in PATH, or file names with * for the person, such as '*_neutral.jpg'"
    pairs.add_argument("--neutral", metavar="NAMES", help=f"neutral pictures: {where} (default: neutral)")
    pairs.add_argument(
        "--expressive", metavar="NAMES", help="expressive ones, likewise (default: the name of --label)"
    )
    pairs.add_argument("--label", metavar="NAME", help="what the expression is called (default: happiness)")
    pairs.add_argument(
        "--people",
        type=Path,
        metavar="CSV",
        help="table with a header: the person, then groups such as sex and age, each with its figures",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME", dest="sets", help="a generated set; repeatable"
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="measure on N clips or pairs, chosen at random"
    )
    parser.add_argument(
        "--cropped", action="store_true", help="the pictures are cut-out faces, so search for none"
    )
    parser.add_argument(
        "--detector",
        default="",
        metavar="FILE",
        help="YuNet file that finds the faces (default: the fetched one)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    parser.add_argument("--force", action="store_true", help="replace a file that emotion-edge did not write")


def run(args: argparse.Namespace) -> None:
    """Print the table; --json takes all figures."""
    from export.card import evaluate as labeled
    from export.card import pairs, pairs_table
    from export.card import screen_evaluate as screen
    from export.metrics import set_report

    if args.limit is not None and args.limit < 1:
        raise EdgeError(f"--limit is {args.limit}, expected 1 or more clips")
    _refuse_of_others(args)
    with ExitStack() as stack:
        output = stack.enter_context(_output(args)) if args.json else None  # before hours of work, not after
        if args.dataset in screen.KINDS:
            figures = screen.evaluate(
                args.bundle, args.dataset, args.path, args.limit, args.detector, args.sets
            )
            print(screen.table(figures))
        elif args.dataset == "pairs":
            which = pairs.PairSet(args.path, args.label, args.neutral, args.expressive, args.people)
            figures = pairs.evaluate(args.bundle, which, args.limit, args.cropped, args.detector)
            print(pairs_table.table(figures))
        else:
            figures = labeled.evaluate(
                args.bundle, args.dataset, args.path, args.limit, args.cropped, args.detector
            )
            print(set_report.table(figures))
        if output:
            output.write(json.dumps({"schema": SCHEMA, **figures}, indent=1).encode() + b"\n")


def _refuse_of_others(args: argparse.Namespace) -> None:
    """EdgeError for options of another kind of set."""
    from export.card import screen_evaluate as screen

    given = {
        "--cropped": args.cropped and args.dataset in screen.KINDS,
        "--set": args.sets and args.dataset not in screen.KINDS,
    }
    for name in ("neutral", "expressive", "label", "people"):
        given[f"--{name}"] = getattr(args, name) is not None and args.dataset != "pairs"
    for name, wrong in given.items():
        if wrong:
            raise EdgeError(f"{name} does not go with --dataset {args.dataset}; leave it out")


def _output(args: argparse.Namespace) -> OutputFile:
    read = [("a file of the set", args.path), ("a file of the bundle", args.bundle)]
    if args.people:
        read.append(("the table of people", args.people))
    if args.detector:
        read.append(("the detector", Path(args.detector)))
    refuse_inputs({"--json": args.json}, read)
    return OutputFile(args.json, force=args.force, small=True)
