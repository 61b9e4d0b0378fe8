"""What a bundle holds: parameters, multiply-accumulates and bytes per layer, what is INT8, where it runs."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edge.bundle import load
from export.graph.nodes import attribute

# Newest opset and IR version that the runtime of each system loads.
RUNTIMES = {
    "JetPack 6 (ONNX Runtime 1.23, Python 3.10)": (23, 11),
    "JetPack 7 (ONNX Runtime 1.23 or newer)": (23, 11),
    "Raspberry Pi OS bookworm, trixie (ONNX Runtime from PyPI)": (23, 11),
}
_WEIGHTED = ("Conv", "Gemm", "MatMul")


def inspect(folder: Path, as_json: bool) -> str:
    """What every precision of the bundle holds, as text or JSON."""
    bundle = load(folder)
    report = {
        "name": bundle.manifest.name,
        "state_bytes_per_track": sum(4 * prod(tensor.shape) for tensor in bundle.state),
        "precisions": {name: audit(bundle.model(name)) for name in bundle.precisions},
    }
    return json.dumps(report, indent=2) if as_json else _text(report)


def audit(path: Path) -> dict[str, Any]:
    """Figures of one ONNX step graph for one face."""
    model = onnx.load(str(path))
    layers = _layers(model)
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


def _layers(model: ModelProto) -> list[dict[str, Any]]:
    """One row for each node with constant weights, behind a DequantizeLinear where they are INT8."""
    known, values = shapes(model), {t.name: t for t in model.graph.initializer}
    behind = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "DequantizeLinear"}
    rows = []
    for node in model.graph.node:
        if node.op_type not in _WEIGHTED or behind.get(node.input[1], node.input[1]) not in values:
            continue
        weight = values[behind.get(node.input[1], node.input[1])]
        size, out = prod(weight.dims), known.get(node.output[0], ())
        if node.op_type == "Conv":  # each weight is used once per output pixel
            uses = prod(out[2:])
        else:
            uses = max(prod(out) // max(weight.dims[0 if attribute(node, "transB", 0) else -1], 1), 1)
        bias = values.get(node.input[2]) if len(node.input) > 2 else None
        kind = weight.data_type
        rows.append(
            {
                "name": node.name or node.output[0],
                "op": node.op_type,
                "weights": "x".join(map(str, weight.dims)),
                "parameters": size + (prod(bias.dims) if bias is not None else 0),
                "macs": int(size * uses),
                "bytes": size * numpy_helper.to_array(weight).itemsize,
                "type": helper.tensor_dtype_to_string(kind).rsplit(".", 1)[-1].lower(),
                "int8": kind == TensorProto.INT8,
            }
        )
    return rows


def _text(report: dict[str, Any]) -> str:
    lines = [f"{report['name']}: {report['state_bytes_per_track']} bytes of state per track"]
    for precision, audited in report["precisions"].items():
        layers = audited["layers"]
        lines += [
            "",
            f"{precision}: {audited['file_bytes'] / 1e6:.2f} MB, opset {audited['opset']}, "
            f"IR {audited['ir_version']}, {audited['parameters'] / 1e6:.3f} M parameters, "
            f"{audited['macs'] / 1e6:.2f} MMAC a step, "
            f"{audited['quantized_layers']} of {len(layers)} layers in INT8",
        ]
        widest = max((len(row["name"]) for row in layers), default=0)
        for row in layers:
            lines.append(
                f"  {row['name']:<{widest}}  {row['op']:<6} {row['weights']:>14} {row['type']:>8} "
                f"{row['parameters']:>9} parameters {row['macs'] / 1e6:>8.3f} MMAC {row['bytes']:>9} bytes"
            )
        for name, loads in audited["loads_on"].items():
            lines.append(f"  {'loads on' if loads else 'DOES NOT LOAD on'} {name}")
    return "\n".join(lines)
