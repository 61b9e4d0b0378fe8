"""The command line of the export stage. A fault is one line and exit code 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edge.__main__ import add_engine_options, run_engine
from edge.bundle import REFERENCE
from edge.errors import EdgeError, require
from edge.system.command import finish
from export import INSTALL
from export.commands.bundle_options import add_options


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    args = _parser().parse_args(argv)

    def work() -> None:
        for module in ("cv2", "torch", "onnx", "onnxruntime"):
            require(module, INSTALL)
        args.command(args)

    return finish("emotion-export", work, "nothing is half-written; training resumes after its last epoch")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="emotion-export", description="Train and export streaming bundles.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="train the reference model and write its bundle; resumes")
    train.add_argument("--data", type=Path, required=True, help="ferplus_webp.npz")
    train.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    train.add_argument("--work", type=Path, default=Path("work"), help="checkpoints (default: %(default)s)")
    train.add_argument("--encoder", help="plain-m (default), plain-strided, ...: any other word lists them")
    train.add_argument("--family", help="cnn, cnn-gru (default), cnn-lstm, ...: any other word lists them")
    train.add_argument("--epochs", type=int, help="of the frame stage (default: 40)")
    train.add_argument("--seed", type=int, help="the first one (default: 11)")
    train.add_argument("--seeds", type=int, default=3, help="networks to train; the best ships (default: 3)")
    train.add_argument(
        "--together", type=int, default=0, metavar="EPOCHS",
        help="then, in which the networks learn what all of them say "
        "(default: 0, none: a gain with plain-strided only)",
    )  # fmt: skip
    train.add_argument(
        "--fine-tune", type=int, default=3, metavar="EPOCHS",
        help="then, of quantization-aware training (default: 3; 0: none, INT8 loses more)",
    )  # fmt: skip
    train.add_argument(
        "--trial", action="store_true", help="measure on the development fold: PublicTest is for releases"
    )
    _add_clips(train)
    train.set_defaults(command=_train)

    card = commands.add_parser("card", help="measure a trained bundle again and renew its model card")
    card.add_argument("bundle", type=Path, metavar="BUNDLE")
    card.add_argument("--data", type=Path, required=True, help="ferplus_webp.npz")
    _add_clips(card)
    card.set_defaults(command=_card)

    bundle = commands.add_parser("bundle", help="make a streaming bundle of a trained CNN-GRU or CNN-LSTM")
    origin = bundle.add_mutually_exclusive_group(required=True)
    origin.add_argument(
        "--onnx", type=Path, metavar="FILE", help="a network over windows, with GRU or LSTM nodes"
    )
    origin.add_argument("--model", metavar="PKG.MOD:FUNCTION", help="function that builds a PyTorch network")
    bundle.add_argument("--weights", type=Path, help="of --model: .safetensors or a state dict")
    bundle.add_argument("-o", "--out", type=Path, required=True, metavar="DIR")
    add_options(bundle)
    bundle.set_defaults(command=_bundle)

    quantize = commands.add_parser("quantize", help="add INT8 and float16 files to a bundle")
    quantize.add_argument("bundle", type=Path, metavar="BUNDLE")
    quantize.add_argument("--ranges", type=Path, required=True, help="from emotion-calibrate ranges")
    quantize.add_argument(
        "--data", type=Path, metavar="SET", help="labelled faces: run the gate before listing"
    )
    quantize.add_argument("--budgets", type=Path, metavar="gate.toml", help="what a quantized file may lose")
    quantize.add_argument("--dialect", choices=("cpu", "trt", "both"), default="both")
    quantize.add_argument("--fp16", action="store_true", help="model.fp16.onnx, too")
    quantize.add_argument(
        "--recurrent", action="store_true", help="the products of the recurrent cell in INT8, too"
    )
    quantize.set_defaults(command=_quantize)

    layers = commands.add_parser(
        "sensitivity", help="which layer costs how much in INT8, which to leave in float"
    )
    layers.add_argument("bundle", type=Path, metavar="BUNDLE")
    layers.add_argument("--ranges", type=Path, required=True, help="from emotion-calibrate ranges")
    layers.add_argument("--data", type=Path, required=True, metavar="SET", help="labelled faces")
    layers.add_argument("--dialect", choices=("cpu", "trt"), default="cpu")
    layers.add_argument("--budgets", type=Path, metavar="gate.toml")
    layers.add_argument("--plot", type=Path, metavar="OUT.png")
    layers.set_defaults(command=_sensitivity)

    engine = commands.add_parser("engine", help="build the TensorRT engine of a bundle on this machine")
    add_engine_options(engine)
    engine.set_defaults(command=run_engine)

    verify = commands.add_parser("verify", help="repeat from disk what was proven of a bundle")
    verify.add_argument("bundle", type=Path, metavar="BUNDLE")
    verify.add_argument("--reference", type=Path, metavar="window.onnx", help="the graph it was made from")
    verify.add_argument("--data", default="demo", metavar="SET", help="real sequences (default: %(default)s)")
    verify.add_argument("--budgets", type=Path, metavar="gate.toml", help="what a quantized file may lose")
    verify.add_argument("--page", type=Path, help="write the result as an HTML page, too")
    verify.set_defaults(command=_verify)

    measure = commands.add_parser("evaluate", help="figures on a labelled set, per class and per group")
    measure.add_argument("path", type=Path, metavar="PATH", help="of the set")
    measure.add_argument(
        "--bundle", type=Path, default=REFERENCE, metavar="DIR", help="default: the reference model"
    )
    measure.add_argument("--dataset", required=True, help="crema-d, ravdess, afew, dfew, ferplus or folder")
    measure.add_argument("--limit", type=int, metavar="N", help="a random choice of N clips")
    measure.add_argument("--cropped", action="store_true", help="pictures are faces already: no detector")
    measure.add_argument(
        "--detector", default="", metavar="FILE", help="a YuNet file (default: the fetched one)"
    )
    measure.add_argument("--json", type=Path, metavar="FILE", help="all figures")
    measure.set_defaults(command=_evaluate)

    inspect = commands.add_parser("inspect", help="what a bundle holds and where it can run")
    inspect.add_argument("bundle", type=Path, metavar="DIR")
    inspect.add_argument("--json", action="store_true", help="machine-readable")
    inspect.set_defaults(command=_inspect)

    compare = commands.add_parser(
        "compare-encoders", help="short equal training of several encoders, a table"
    )
    compare.add_argument("--data", type=Path, required=True, help="ferplus_webp.npz")
    compare.add_argument("--work", type=Path, default=Path("work"), help="checkpoints (default: %(default)s)")
    compare.add_argument("--epochs", type=int, default=4)
    compare.add_argument("encoders", nargs="*", help="default: all")
    compare.set_defaults(command=_compare)
    return parser


def _add_clips(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clips", type=Path, nargs="+", default=[], metavar="VIDEO", help="how steady the answers are there"
    )
    parser.add_argument("--detector", default="", metavar="FILE", help="a YuNet file, for --clips")


def _train(args: argparse.Namespace) -> None:
    from export.train import train
    from export.train.batches import FrameRecipe
    from export.train.heads import FAMILIES
    from export.train.sequences import SequenceTrainingRecipe

    given = {"encoder": args.encoder, "epochs": args.epochs, "seed": args.seed}
    frames = replace(FrameRecipe(), **{key: value for key, value in given.items() if value is not None})
    _known([frames.encoder])
    family = args.family or SequenceTrainingRecipe.family
    if family not in FAMILIES:
        raise EdgeError(f"unknown family {family!r}; there are {', '.join(FAMILIES)}")
    over_time = replace(SequenceTrainingRecipe(), family=family)
    for name, value, lowest in (
        ("seeds", args.seeds, 1),
        ("epochs", frames.epochs, 1),
        ("seed", frames.seed, 0),
        ("together", args.together, 0),
        ("fine-tune", args.fine_tune, 0),
    ):
        if value < lowest:
            raise EdgeError(f"--{name} is {value}, expected {lowest} or more")
    if not train.train(
        args.data,
        args.work,
        args.out,
        frames,
        over_time,
        together_epochs=args.together,
        fine_tune_epochs=args.fine_tune,
        seeds=args.seeds,
        clips=args.clips,
        detector=args.detector,
        trial=args.trial,
    ):
        raise SystemExit(1)


def _card(args: argparse.Namespace) -> None:
    from export.card.card import renew

    renew(args.bundle, args.data, args.clips, args.detector)


def _bundle(args: argparse.Namespace) -> None:
    from export.commands import bundle as make_bundle
    from export.commands.bundle_settings import read
    from export.load import build_model, step_module

    options, parts = read(args)
    if args.onnx:
        make_bundle.bundle_onnx(args.onnx, args.out, options)
    else:
        if args.weights is None:
            raise EdgeError("--model needs --weights: a .safetensors file or a saved state dict")
        model = build_model(args.model, args.weights)
        step = step_module(model, parts)
        if step is None:
            make_bundle.bundle_window_module(model, args.out, options)
        else:
            make_bundle.bundle_step(step, model, args.out, options)
    page, run = args.out / "proof.html", f"emotion-edge run SOURCE --bundle {args.out} --jsonl -"
    print(f"wrote {args.out}; see {page}; run it: {run}")


def _quantize(args: argparse.Namespace) -> None:
    from export.int8.gate import read_budgets
    from export.int8.quantize import quantize_bundle

    kinds = (["cpu", "trt"] if args.dialect == "both" else [args.dialect]) + ["fp16"] * args.fp16
    if args.budgets and not args.data:
        raise EdgeError("--budgets are for labelled faces; pass --data, too")
    budgets = read_budgets(args.budgets)
    if not quantize_bundle(args.bundle, args.ranges, kinds, args.recurrent, args.data, budgets):
        raise SystemExit(1)


def _sensitivity(args: argparse.Namespace) -> None:
    from export.int8.gate import read_budgets
    from export.int8.sensitivity import run

    run(args.bundle, args.ranges, args.dialect, args.data, read_budgets(args.budgets), args.plot)


def _verify(args: argparse.Namespace) -> None:
    from export.commands.verify import verify
    from export.int8.gate import read_budgets

    budgets = read_budgets(args.budgets) if args.budgets else None
    if not verify(args.bundle, args.reference, args.data, args.page, budgets):
        raise SystemExit(1)


def _evaluate(args: argparse.Namespace) -> None:
    import json

    from export.commands.evaluate import evaluate
    from export.metrics.set_report import table

    if args.json and not args.json.parent.is_dir():  # before hours of work, not after
        raise EdgeError(f"no folder {args.json.parent}; make it, or pass another --json")
    if args.limit is not None and args.limit < 1:
        raise EdgeError(f"--limit is {args.limit}, expected 1 or more clips")
    found = evaluate(args.bundle, args.dataset, args.path, args.limit, args.cropped, args.detector)
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def _inspect(args: argparse.Namespace) -> None:
    from export.bundle.describe import inspect

    print(inspect(args.bundle, args.json))


def _compare(args: argparse.Namespace) -> None:
    from export.train import train
    from export.train.networks import ENCODERS

    if args.epochs < 1:
        raise EdgeError(f"--epochs is {args.epochs}, expected 1 or more")
    names = args.encoders or list(ENCODERS)
    _known(names)
    train.compare_encoders(args.data, args.work, names, args.epochs)


def _known(names: Sequence[str]) -> None:
    from export.train.networks import ENCODERS

    for name in names:
        if name not in ENCODERS:
            raise EdgeError(f"unknown encoder {name!r}; there are {', '.join(ENCODERS)}")


if __name__ == "__main__":
    sys.exit(main())
