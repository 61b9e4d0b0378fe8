"""``emotion-edge engine``: the engine of a bundle for this machine's GPU, built or found."""

from __future__ import annotations

import sys
from pathlib import Path

from edge import bundle as bundles
from edge.engines import trt_cache
from edge.engines.trt_cache import PRECISIONS
from edge.errors import ConfigError, EdgeError


def engine(
    folder: Path, precision: str, faces: int, out: Path | None, workspace_mb: int, capability: str
) -> Path:
    """Build the engine unless it is there, say what was done, and return the plan's path.

    With ``precision`` "auto", float16 and float32 are tried where the builder refuses INT8.
    """
    if precision != "auto" and precision not in PRECISIONS:
        raise ConfigError(f"precision is {precision!r}, expected auto, {', '.join(PRECISIONS)}")
    if not 1 <= faces <= 64:
        raise ConfigError(f"faces is {faces}, expected 1 to 64 in one step")
    bundle, out = bundles.load(folder), out or trt_cache.default_folder()
    refused = ""
    for name in PRECISIONS if precision == "auto" else (precision,):
        kind = PRECISIONS[name]
        if kind not in bundle.precisions:
            refused = f"{folder} has no {kind} file; emotion-export quantize makes it"
        else:
            try:
                return _build(bundle, kind, faces, out, workspace_mb, capability)
            except trt_cache.Refused as error:
                refused = str(error)
        if precision == "auto":
            print(f"{name}: {refused}", file=sys.stderr)
    raise EdgeError(refused)


def _build(
    bundle: bundles.Bundle, kind: str, faces: int, out: Path, workspace_mb: int, capability: str
) -> Path:
    key = trt_cache.key_of(bundle, kind, faces, capability)
    plan = trt_cache.find(out, key)
    state = "there already"
    if plan is None:
        plan = trt_cache.make(bundle, key, out, _show, workspace_mb)
        state = "built"
    size = plan.stat().st_size / 1e6
    made_for = f"{key.library} {key.version}, {key.gpu} {key.capability}"
    print(f"{plan}: {state}, {size:.1f} MB, 1 to {faces} faces, {made_for}")
    return plan


def _show(line: str) -> None:
    """A bar on a terminal; warnings everywhere."""
    percent, _, what = line.partition(" ")
    if not percent.isdigit():
        print(line, file=sys.stderr)
    elif sys.stderr.isatty():
        done = int(percent) // 4
        print(f"\r[{'#' * done}{' ' * (25 - done)}] {percent:>3} % {what[:40]:40}", end="", file=sys.stderr)
        if percent == "100":
            print(file=sys.stderr)
