"""The command line of the export stage. A fault is one line and exit code 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from edge.cli import engine
from edge.errors import require
from edge.system.command import finish
from export import INSTALL
from export.commands import (
    bundle,
    card,
    compare_encoders,
    evaluate,
    face_check,
    fit,
    frontier,
    inspection,
    quantize,
    sensitivity,
    train,
    upgrade,
    verify,
)

_COMMANDS = {
    "train": train, "card": card, "bundle": bundle, "quantize": quantize, "sensitivity": sensitivity,
    "engine": engine, "verify": verify, "evaluate": evaluate, "fit": fit, "inspect": inspection,
    "upgrade": upgrade, "compare-encoders": compare_encoders, "face-check": face_check,
    "frontier": frontier,
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    args = _parser().parse_args(argv)

    def work() -> None:
        if args.check is not None:
            args.check(args)
            print("emotion-export: loading PyTorch", file=sys.stderr, flush=True)  # seconds
        for module in ("cv2", "torch", "onnx", "onnxruntime", "jinja2", "scipy"):
            require(module, INSTALL)
        args.command(args)

    trains = args.command in (train.run, compare_encoders.run)
    resumes = "; training resumes after its last epoch" if trains else ""
    return finish("emotion-export", work, f"nothing is half-written{resumes}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="emotion-export", description="Train and export streaming bundles.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in _COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_options(command)
        # ``check`` refuses what can be refused before PyTorch is loaded.
        command.set_defaults(command=module.run, check=getattr(module, "check", None))
    return parser
