"""A step graph in float16, made on the workstation because a board has no converter."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, version_converter

from edge.errors import EdgeError
from export.graph.window import IR_VERSION

_QUANTIZES_HALF = 21  # first opset whose QuantizeLinear takes float16
_LARGEST = float(np.finfo(np.float16).max)


def to_half(model: ModelProto) -> ModelProto:
    """``model`` computing in float16, with float32 inputs and outputs as every bundle has them.

    Raises EdgeError where a weight does not fit.
    """
    made = ModelProto()
    made.CopyFrom(model)
    if any(node.op_type == "QuantizeLinear" for node in made.graph.node):
        made = version_converter.convert_version(made, _QUANTIZES_HALF)
        made.ir_version = IR_VERSION
    graph = made.graph
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            value = numpy_helper.to_array(tensor)
            if np.abs(value).max(initial=0) > _LARGEST:
                raise EdgeError(
                    f"weight {tensor.name!r} reaches {np.abs(value).max():g}, more than float16 holds"
                )
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float16), tensor.name))
    inside = {value.name: f"{value.name}/half" for value in graph.input}
    outside = {value.name: f"{value.name}/half" for value in graph.output}
    nodes: list[NodeProto] = [_cast(name, half, TensorProto.FLOAT16) for name, half in inside.items()]
    for node in graph.node:
        if node.op_type == "Cast":
            for entry in node.attribute:
                entry.i = (
                    TensorProto.FLOAT16 if entry.name == "to" and entry.i == TensorProto.FLOAT else entry.i
                )
        node.input[:] = [inside.get(name, outside.get(name, name)) for name in node.input]
        node.output[:] = [outside.get(name, name) for name in node.output]
        nodes.append(node)
    nodes += [_cast(half, name, TensorProto.FLOAT) for name, half in outside.items()]
    kept = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
    del graph.value_info[:]
    onnx.checker.check_model(made, full_check=True)
    return made


def _cast(source: str, target: str, kind: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"{target}/cast", to=kind)
