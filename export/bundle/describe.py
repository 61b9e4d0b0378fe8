"""What a bundle holds: parameters, multiply-accumulates and bytes per layer, what is INT8, where it runs."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edge import bundle as bundles
from export.graph.axes import attribute

# Newest opset and IR version that the runtime of each system loads.
RUNTIMES = {
    "JetPack 6 (ONNX Runtime 1.23, Python 3.10)": (23, 11),
    "JetPack 7 (ONNX Runtime 1.23 or newer)": (23, 11),
    "Raspberry Pi OS bookworm, trixie (ONNX Runtime from PyPI)": (23, 11),
}
_WEIGHTED = ("Conv", "Gemm", "MatMul")


def inspect(folder: Path, as_json: bool) -> str:
    """The audit of every precision of the bundle, as text or JSON."""
    bundle = bundles.load(folder)
    report = {
        "name": bundle.manifest["name"],
        "state_bytes_per_track": sum(4 * prod(tensor.shape) for tensor in bundle.state),
        "precisions": {name: audit(bundle.model(name)) for name in bundle.precisions},
    }
    return json.dumps(report, indent=2) if as_json else _text(report)


def audit(path: Path) -> dict[str, Any]:
    """Figures of one ONNX step graph for one face."""
    model = onnx.load(str(path))
    known = shapes(model)
    values = {t.name: t for t in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    layers = [
        _layer(node, known, values, makers)
        for node in model.graph.node
        if node.op_type in _WEIGHTED and _weight(node, values, makers) is not None
    ]
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    return {
        "file_bytes": path.stat().st_size,
        "ir_version": model.ir_version,
        "opset": opset,
        "parameters": sum(row["parameters"] for row in layers),
        "macs": sum(row["macs"] for row in layers),
        "quantized_layers": sum(row["int8"] for row in layers),
        "float_layers": [row["name"] for row in layers if not row["int8"]],
        "recurrent_operators": sum(node.op_type in ("GRU", "LSTM", "RNN") for node in model.graph.node),
        "loads_on": {
            name: opset <= newest and model.ir_version <= ir for name, (newest, ir) in RUNTIMES.items()
        },
        "layers": layers,
    }


def shapes(model: ModelProto) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor for one face."""
    one = ModelProto()
    one.CopyFrom(model)
    for value in (*one.graph.input, *one.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del one.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(one, data_prop=True).graph
    return {
        value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
    }


def _weight(
    node: NodeProto, values: dict[str, TensorProto], makers: dict[str, NodeProto]
) -> TensorProto | None:
    """The constant of a layer, behind a DequantizeLinear where it is INT8."""
    name = node.input[1]
    if name in makers and makers[name].op_type == "DequantizeLinear":
        name = makers[name].input[0]
    return values.get(name)


def _layer(
    node: NodeProto,
    shapes: dict[str, tuple[int, ...]],
    values: dict[str, TensorProto],
    makers: dict[str, NodeProto],
) -> dict[str, Any]:
    weight = _weight(node, values, makers)
    assert weight is not None
    size = prod(weight.dims)
    out = shapes.get(node.output[0], ())
    if node.op_type == "Conv":  # each weight is used once per output pixel
        macs = size * prod(out[2:])
    else:
        rows = prod(out) // max(weight.dims[0 if attribute(node, "transB", 0) else -1], 1)
        macs = size * max(rows, 1)
    kind = weight.data_type
    bias = values.get(node.input[2]) if len(node.input) > 2 else None
    return {
        "name": node.name or node.output[0],
        "op": node.op_type,
        "weights": "x".join(map(str, weight.dims)),
        "parameters": size + (prod(bias.dims) if bias is not None else 0),
        "macs": int(macs),
        "bytes": size * numpy_helper.to_array(weight).itemsize,
        "type": helper.tensor_dtype_to_string(kind).rsplit(".", 1)[-1].lower(),
        "int8": kind == TensorProto.INT8,
    }


def _text(report: dict[str, Any]) -> str:
    lines = [f"{report['name']}: {report['state_bytes_per_track']} bytes of state per track"]
    for precision, found in report["precisions"].items():
        layers = found["layers"]
        lines += [
            "",
            f"{precision}: {found['file_bytes'] / 1e6:.2f} MB, opset {found['opset']}, "
            f"IR {found['ir_version']}, {found['parameters'] / 1e6:.3f} M parameters, "
            f"{found['macs'] / 1e6:.2f} MMAC a step, "
            f"{found['quantized_layers']} of {len(layers)} layers in INT8",
        ]
        widest = max((len(row["name"]) for row in layers), default=0)
        for row in layers:
            lines.append(
                f"  {row['name']:<{widest}}  {row['op']:<6} {row['weights']:>14} {row['type']:>8} "
                f"{row['parameters']:>9} parameters {row['macs'] / 1e6:>8.3f} MMAC {row['bytes']:>9} bytes"
            )
        for name, loads in found["loads_on"].items():
            lines.append(f"  {'loads on' if loads else 'DOES NOT LOAD on'} {name}")
    return "\n".join(lines)
