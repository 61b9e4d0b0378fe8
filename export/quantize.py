"""INT8 and float16 files of a bundle, each tried on golden.npz before it is listed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from calibration import ranges
from edge import bundle as bundles
from edge.bundle import Bundle, sha256
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.recognition.golden import reproduces
from export import qdq
from export.half import to_half
from export.lint import fused_convolutions, lint
from export.write_bundle import write_bundle

KINDS = ("cpu", "trt", "fp16")
FILES = {"cpu": "int8-cpu", "trt": "int8-trt", "fp16": "fp16"}


def quantize_bundle(folder: Path, table: Path, kinds: Sequence[str], recurrent: bool) -> bool:
    """Add files of ``kinds`` to the bundle at ``folder`` by the ranges in ``table``.

    One that does not reproduce golden.npz is named and left out. Returns whether all were listed.
    """
    bundle = bundles.load(folder)
    found = ranges.read(table)
    made_from = found.get("model_sha256")
    if made_from != sha256(bundle.model("fp32")):
        raise EdgeError(f"{table} was made from another model than {folder} holds; make the ranges again")
    passed = []

    def fill(fresh: Path) -> dict[str, Any]:
        for file in folder.iterdir():
            shutil.copy2(file, fresh / file.name)
        manifest = dict(bundle.manifest)
        model = onnx.load(str(bundle.model("fp32")))
        for kind in kinds:
            passed.append(_add(fresh, manifest, model, found["tensors"], kind, recurrent))
        about = {key: found[key] for key in ("method", "data_sha256", "steps")}
        manifest["calibration"] = {**about, "recurrent_in_int8": recurrent}
        return manifest

    write_bundle(folder, fill)
    return all(passed)


def _add(
    folder: Path, manifest: dict[str, Any], model: ModelProto, table: qdq.Ranges, kind: str, recurrent: bool
) -> bool:
    precision = FILES[kind]
    path = folder / f"model.{precision}.onnx"
    if kind == "fp16":
        onnx.save_model(to_half(model), str(path))
    else:
        write_int8(model, path, table, kind, recurrent, half=kind == "trt")
    manifest["files"] = {**manifest["files"], precision: {"path": path.name}}
    # ONNX Runtime 1.31 fuses float16 roundings wrongly (cosine 0.95 instead of 0.9996), and never runs this.
    verdict = reproduces(OrtEngine(path, optimize=kind != "trt"), Bundle(folder, manifest))
    size = path.stat().st_size / 1e6
    print(f"{precision}: {size:.2f} MB, {verdict}{'' if verdict.passed else '; NOT listed'}")
    if not verdict.passed:
        path.unlink()
        del manifest["files"][precision]
    return verdict.passed


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
