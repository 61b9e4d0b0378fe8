"""``emotion-edge engine``: build the engine of a bundle for this machine's GPU, unless it exists."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from edge import bundle as bundles
from edge.engines.tensorrt import plans
from edge.engines.tensorrt.builder import WORKSPACE_MB
from edge.engines.tensorrt.options import add_engine_options
from edge.engines.tensorrt.plans import PRECISIONS
from edge.errors import ConfigError, EdgeError
from edge.system.command import finish
from edge.system.process import die_with_parent
from edge.system.progress import Bar


def run_engine(args: argparse.Namespace) -> None:
    """The ``engine`` command of both command lines."""
    try:
        engine(args)
    except plans.Refused as error:  # its exit code is only for a run that builds in the background
        raise EdgeError(str(error)) from error


def engine(args: argparse.Namespace) -> None:
    """Build the engine unless it exists, and report it.

    With ``--precision auto``, float16 and float32 are tried if the builder rejects INT8.
    """
    folder, precision, faces = args.bundle or bundles.REFERENCE, args.precision, args.faces
    if precision != "auto" and precision not in PRECISIONS:
        raise ConfigError(f"precision is {precision!r}, expected auto, {', '.join(PRECISIONS)}")
    if not 1 <= faces <= 64:
        raise ConfigError(f"faces is {faces}, expected 1 to 64 in one step")
    bundle, out = bundles.load(folder), (args.out or plans.default_folder()).absolute()
    refused = plans.Refused("")
    for name in PRECISIONS if precision == "auto" else (precision,):
        kind = PRECISIONS[name]
        if kind not in bundle.precisions:
            refused = plans.Refused(f"{folder} has no {kind} file; emotion-export quantize makes it")
        else:
            try:
                _build(bundle, kind, faces, out, args.workspace_mb, args.capability)
                return
            except plans.Refused as error:
                refused = error
        if precision == "auto":
            print(f"{name}: {refused}", file=sys.stderr)
    raise refused


def _build(
    bundle: bundles.Bundle, kind: str, faces: int, out: Path, workspace_mb: int, capability: str
) -> None:
    key = plans.key_of(bundle, kind, faces, capability)
    plan = plans.find(out, key)
    state = "built" if plan is None else "already exists"
    plan = plan or make_with_progress(bundle, key, out, workspace_mb)
    size = plan.stat().st_size / 1e6
    target = f"{key.library} {key.version}, {key.gpu} {key.capability}"
    print(f"{plan}: {state}, {size:.1f} MB, 1 to {faces} faces, {target}")


def make_with_progress(
    bundle: bundles.Bundle, key: plans.Key, folder: Path, workspace_mb: int = WORKSPACE_MB
) -> Path:
    """``plans.make`` with a progress bar on a terminal, else a line for each tenth; warnings in any case."""
    with Bar(100, "%") as bar:
        tenths = 0  # told, as on the console of a board that starts

        def show(line: str) -> None:
            nonlocal tenths
            percent = line.partition(" ")[0]
            if not percent.isdecimal():
                print(line, file=sys.stderr)
            elif bar.shown:
                bar.at(int(percent))
            elif int(percent) // 10 != tenths:
                tenths = int(percent) // 10
                print(f"building the {key.precision} engine: {percent} %", flush=True)

        return plans.make(bundle, key, folder, show, workspace_mb)


def main(argv: Sequence[str] | None = None) -> int:
    """Like ``emotion-edge engine``, for a background build; exit code 3 if this precision is rejected."""
    die_with_parent()
    parser = argparse.ArgumentParser(prog="emotion-edge")
    add_engine_options(parser)
    args = parser.parse_args(argv)
    return finish("emotion-edge", lambda: engine(args), "no engine was written")


if __name__ == "__main__":
    sys.exit(main())
