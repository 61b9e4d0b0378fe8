"""``emotion-export quantize``: INT8 and float16 files by measured ranges."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from edge.bundle import Bundle, load
from edge.errors import EdgeError
from edge.system.hashing import sha256

HELP = "add INT8 and float16 files to a bundle"


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
        "--data",
        type=Path,
        metavar="SET",
        help="labeled faces; a file that loses too much on them is not listed",
    )
    parser.add_argument(
        "--budgets", type=Path, metavar="gate.toml", help="file that says how much may be lost"
    )
    parser.add_argument(
        "--dialect",
        choices=("cpu", "trt", "both"),
        default="both",
        help="for processors, for TensorRT, or for both (default)",
    )
    parser.add_argument("--fp16", action="store_true", help="also write model.fp16.onnx, in half precision")
    parser.add_argument("--recurrent", action="store_true", help="also quantize the recurrent part")


def run(args: argparse.Namespace) -> None:
    """Add the files; exit code 1 where one could not be listed."""
    import onnx

    from calibration import ranges
    from export.bundle.write import draft, write_bundle
    from export.card import card
    from export.data.labeled import need_labeled
    from export.int8.gate import read_budgets
    from export.int8.quantize import FILES, add_precisions

    kinds = (["cpu", "trt"] if args.dialect == "both" else [args.dialect]) + ["fp16"] * args.fp16
    if args.budgets and not args.data:
        raise EdgeError("--budgets needs labeled faces; pass --data, too")
    budgets, bundle = read_budgets(args.budgets), load(args.bundle)
    labeled = need_labeled(args.data, bundle, choosing=True) if args.data else None
    table = ranges.read(args.ranges)
    if table.get("model_sha256") != sha256(bundle.model("fp32")):
        raise EdgeError(
            f"{args.ranges} was measured on another model than {args.bundle} holds; measure the ranges again"
        )
    precisions = {FILES[kind] for kind in kinds}
    listed: list[bool] = []

    def fill(fresh: Path) -> Bundle:
        model = onnx.load(str(bundle.model("fp32")))
        copy, tensors = draft(bundle, fresh), table["tensors"]
        copy = add_precisions(copy, model, tensors, kinds, args.recurrent, labeled, budgets)
        listed.append(precisions <= set(copy.precisions))
        about = {key: table[key] for key in ("method", "data_sha256", "steps")}
        about["recurrent_in_int8"] = args.recurrent
        copy = replace(copy, manifest=replace(copy.manifest, calibration=about))
        return card.forget(copy, precisions)

    write_bundle(args.bundle, fill)
    if not all(listed):
        raise SystemExit(1)
