"""``emotion-edge engine``: the engine of a bundle for this machine's GPU, built or found."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from edge import bundle as bundles
from edge.engines.tensorrt import plans
from edge.engines.tensorrt.options import add_engine_options
from edge.engines.tensorrt.plans import PRECISIONS
from edge.errors import ConfigError, EdgeError
from edge.system.command import finish
from edge.system.process import die_with_parent


def run_engine(args: argparse.Namespace) -> None:
    """``engine`` of both command lines."""
    try:
        engine(args)
    except plans.Refused as error:  # its exit code is for the run that builds beside itself
        raise EdgeError(str(error)) from error


def engine(args: argparse.Namespace) -> None:
    """Build the engine unless it is there, and say what was done.

    With ``--precision auto``, float16 and float32 are tried where the builder refuses INT8.
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
    state = "there already"
    if plan is None:
        plan = plans.make(bundle, key, out, show, workspace_mb)
        state = "built"
    size = plan.stat().st_size / 1e6
    made_for = f"{key.library} {key.version}, {key.gpu} {key.capability}"
    print(f"{plan}: {state}, {size:.1f} MB, 1 to {faces} faces, {made_for}")


def show(line: str) -> None:
    """A bar on a terminal; warnings everywhere."""
    percent, _, what = line.partition(" ")
    if not percent.isdigit():
        print(line, file=sys.stderr)
    elif sys.stderr.isatty():
        done = int(percent) // 4
        print(f"\r[{'#' * done}{' ' * (25 - done)}] {percent:>3} % {what[:40]:40}", end="", file=sys.stderr)
        if percent == "100":
            print(file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """As ``emotion-edge engine``, for a run that builds beside it: 3 where this precision is refused."""
    die_with_parent()
    parser = argparse.ArgumentParser(prog="emotion-edge")
    add_engine_options(parser)
    args = parser.parse_args(argv)
    return finish("emotion-edge", lambda: engine(args), "no engine was written")


if __name__ == "__main__":
    sys.exit(main())
