"""INT8 and float16 files of a bundle, each tried on golden.npz before it is listed."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from calibration import ranges
from edge import bundle as bundles
from edge.bundle import Bundle, sha256
from edge.engines.golden import reproduces
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from export.bundle.write import copy_files, write_bundle
from export.card import card
from export.int8 import qdq
from export.int8.gate import Budgets, Labelled, gate, need_labelled
from export.int8.half import to_half
from export.int8.lint import fused_convolutions, lint
from export.int8.reference_engine import judge

KINDS = ("cpu", "trt", "fp16")
FILES = {"cpu": "int8-cpu", "trt": "int8-trt", "fp16": "fp16"}


def quantize_bundle(
    folder: Path,
    table: Path,
    kinds: Sequence[str],
    recurrent: bool,
    data: Path | None = None,
    budgets: Budgets = Budgets(),  # noqa: B008
) -> bool:
    """Add files of ``kinds`` to the bundle at ``folder`` by the ranges in ``table``.

    One that does not reproduce golden.npz, or fails the gate on the faces of ``data``, is named and left
    out. Returns whether all were listed.
    """
    bundle = bundles.load(folder)
    labelled = need_labelled(data, bundle, choosing=True) if data else None
    found = ranges.read(table)
    made_from = found.get("model_sha256")
    if made_from != sha256(bundle.model("fp32")):
        raise EdgeError(f"{table} was made from another model than {folder} holds; make the ranges again")
    passed: list[bool] = []

    def fill(fresh: Path) -> dict[str, Any]:
        copy_files(folder, fresh)
        manifest = dict(bundle.manifest)
        model = onnx.load(str(bundle.model("fp32")))
        passed.extend(
            add_precisions(
                Bundle(fresh, manifest), model, found["tensors"], kinds, recurrent, labelled, budgets
            )
        )
        about = {key: found[key] for key in ("method", "data_sha256", "steps")}
        manifest["calibration"] = {**about, "recurrent_in_int8": recurrent}
        card.forget(Bundle(fresh, manifest), [FILES[kind] for kind in kinds])
        return manifest

    write_bundle(folder, fill)
    return all(passed)


def add_precisions(
    bundle: Bundle,
    model: ModelProto,
    table: qdq.Ranges,
    kinds: Sequence[str],
    recurrent: bool = False,
    data: Labelled | None = None,
    budgets: Budgets = Budgets(),  # noqa: B008
) -> list[bool]:
    """Write files of ``kinds`` beside the fp32 ``model`` of a bundle in the making; which of them stay."""
    passed = []
    for kind in kinds:
        path = _write(bundle.folder, bundle.manifest, model, table, kind, recurrent)
        passed.append(_judge(bundle, path, kind, data, budgets))
    return passed


def _write(
    folder: Path, manifest: dict[str, Any], model: ModelProto, table: qdq.Ranges, kind: str, recurrent: bool
) -> Path:
    path = folder / f"model.{FILES[kind]}.onnx"
    if kind == "fp16":
        onnx.save_model(to_half(model), str(path))
    else:
        write_int8(model, path, table, kind, recurrent, half=kind == "trt")
    manifest["files"] = {**manifest["files"], FILES[kind]: {"path": path.name}}
    return path


def _judge(bundle: Bundle, path: Path, kind: str, data: Labelled | None, budgets: Budgets) -> bool:
    """Whether the new file may stay in the bundle; it is taken out again where it may not."""
    engine = judge(path, FILES[kind])
    verdict = reproduces(engine, bundle)
    faults = [] if verdict.passed else [f"golden.npz: {verdict}"]
    if data is not None and verdict.passed:
        checks, _ = gate(
            bundle, {"fp32": OrtEngine(bundle.model("fp32"), threads=2), FILES[kind]: engine}, data, budgets
        )
        faults = [
            f"{what} is {found}, allowed {allowed}" for what, found, allowed, held in checks if not held
        ]
    size = path.stat().st_size / 1e6
    print(f"{FILES[kind]}: {size:.2f} MB, {f'NOT listed: {faults[0]}' if faults else verdict}")
    if faults:
        path.unlink()
        del bundle.manifest["files"][FILES[kind]]
    return not faults


def write_int8(
    model: ModelProto,
    path: Path,
    table: qdq.Ranges,
    dialect: str,
    recurrent: bool = False,
    keep_float: Collection[str] = (),
    half: bool = False,
) -> None:
    """Write ``model`` in INT8 to ``path``; with ``half`` what stays in float becomes float16.

    EdgeError where a rule of the dialect is broken, or a convolution would run in float unseen.
    """
    made = qdq.quantize(model, table, dialect, recurrent, keep_float)
    broken = [] if keep_float else lint(made, dialect)
    if broken:
        raise EdgeError(f"the {dialect} file breaks {len(broken)} rules; first: {broken[0]}")
    onnx.save_model(to_half(made) if half else made, str(path))
    if dialect == "cpu" and not keep_float:
        fused, convolutions = fused_convolutions(path)
        if fused != convolutions:
            print(
                f"{path.name}: {convolutions - fused} of {convolutions} convolutions run in float here",
                file=sys.stderr,
            )
