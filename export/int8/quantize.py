"""INT8 and float16 files of a bundle, each tried on golden.npz before it is listed."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import onnx
from onnx import ModelProto

from edge.bundle import Bundle
from edge.engines.golden import reproduces
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.manifest import BundleFile
from export.data.labeled import Labeled
from export.int8 import qdq
from export.int8.gate import Budgets, gate
from export.int8.half import to_half
from export.int8.lint import fused_convolutions, lint
from export.int8.reference_engine import reference_engine

FILES = {"cpu": "int8-cpu", "trt": "int8-trt", "fp16": "fp16"}  # kind -> precision


def add_precisions(
    bundle: Bundle,
    model: ModelProto,
    table: qdq.Ranges,
    kinds: Sequence[str],
    recurrent: bool = False,
    data: Labeled | None = None,
    budgets: Budgets = Budgets(),  # noqa: B008
) -> Bundle:
    """A bundle in the making with files of ``kinds`` beside its fp32 ``model``.

    A file that does not reproduce golden.npz, or fails the gate on ``data``, is named and left out. Of
    int8-cpu, finer weights for the slower kernel are then tried.
    """
    for kind in kinds:
        name = FILES[kind]
        path = bundle.folder / f"model.{name}.onnx"
        files = {**bundle.manifest.files, name: BundleFile(path.name)}
        for pair_safe in (True, False) if kind == "cpu" else (False,):
            if kind == "fp16":
                onnx.save_model(to_half(model), str(path))
            else:
                write_int8(model, path, table, kind, recurrent, half=kind == "trt", pair_safe=pair_safe)
            if _passes(bundle, path, name, data, budgets):
                break
        else:
            path.unlink()
            del files[name]
        bundle = replace(bundle, manifest=replace(bundle.manifest, files=files))
    return bundle


def _passes(bundle: Bundle, path: Path, name: str, data: Labeled | None, budgets: Budgets) -> bool:
    """Whether the new file of precision ``name`` may be listed; says so on stdout."""
    engine = reference_engine(path, name)
    verdict = reproduces(engine, bundle)
    faults = [] if verdict.passed else [f"golden.npz: {verdict}"]
    if data is not None and verdict.passed:
        engines = {"fp32": OrtEngine(bundle.model("fp32"), threads=2), name: engine}
        checks, _ = gate(bundle, engines, data, budgets)
        faults = [
            f"{what} is {value}, allowed {allowed}" for what, value, allowed, holds in checks if not holds
        ]
    size = path.stat().st_size / 1e6
    print(f"{name}: {size:.2f} MB, {f'NOT listed: {faults[0]}' if faults else verdict}")
    return not faults


def write_int8(
    model: ModelProto,
    path: Path,
    table: qdq.Ranges,
    dialect: str,
    recurrent: bool = False,
    keep_float: Collection[str] = (),
    half: bool = False,
    pair_safe: bool = True,
) -> None:
    """Write ``model`` in INT8 to ``path``; with ``half`` what stays in float becomes float16.

    EdgeError where a rule of the dialect is broken; a convolution that runs in float is named on stderr.
    """
    quantized = qdq.quantize(model, table, dialect, recurrent, keep_float, pair_safe)
    broken = [] if keep_float else lint(quantized, dialect)
    if broken:
        raise EdgeError(f"the {dialect} file breaks {len(broken)} rules; first: {broken[0]}")
    onnx.save_model(to_half(quantized) if half else quantized, str(path))
    if dialect == "cpu" and not keep_float:
        fused, convolutions = fused_convolutions(path)
        if fused != convolutions:
            print(
                f"{path.name}: {convolutions - fused} of {convolutions} convolutions run in float here",
                file=sys.stderr,
            )
