"""``emotion-export inspect``: what a bundle holds, or whether and how a network will stream."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edge.errors import ConfigError
from edge.system.steps import Steps

HELP = "show what a bundle holds and where it can run, or whether and how a network will stream"
_NETWORK = ("window", "time_first", "size", "channels", "output", "meaning", "smooth", "reset")


def add_options(parser: argparse.ArgumentParser) -> None:
    from export.commands.bundle import add_network_options

    parser.add_argument(
        "path",
        type=Path,
        metavar="PATH",
        help="folder of a bundle, or a network: .onnx, .pt2, TorchScript, or the weights of --model",
    )
    parser.add_argument(
        "--model", metavar="PKG.MOD:FUNCTION", help="Python function that builds a PyTorch network"
    )
    add_network_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def check(args: argparse.Namespace) -> None:
    """Refuse, before PyTorch is loaded, what can be refused without it."""
    if not args.path.exists():
        raise ConfigError(f"no bundle or network at {args.path}; pass one that exists")
    given = [name for name in ("model", *_NETWORK) if getattr(args, name) is not None]
    if args.path.is_dir() and given:
        option = "--" + given[0].replace("_", "-")
        raise ConfigError(f"{option} is for networks, but {args.path} is a folder; leave it out")


def run(args: argparse.Namespace) -> None:
    """Print the report; the exit code is 0 for a network that cannot stream, too."""
    if args.path.is_dir():
        from export.bundle.describe import inspect

        print(inspect(args.path, args.json))
        return
    from export import report

    settings = {name: value for name in _NETWORK if (value := getattr(args, name)) is not None}
    with Steps("emotion-export") as steps:
        found = _report(args, settings, steps)
    print(report.as_json(found) if args.json else report.as_text(found))


def _report(args: argparse.Namespace, settings: dict[str, Any], steps: Steps) -> Any:
    from export import pytorch, report

    if args.path.suffix == ".onnx":
        if args.model:
            raise ConfigError(f"--model does not go with {args.path}, which is whole; leave --model out")
        return report.of_onnx(args.path, settings)
    name, weights = (args.model, args.path) if args.model else (str(args.path), None)
    return report.of_pytorch(pytorch.Given(name, weights, args.weights_key, args.trust_file), settings, steps)
