"""A step graph in float16, made on the workstation because a board has no converter."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper, version_converter

from edge.errors import EdgeError
from export.graph.reading import IR_VERSION

_QUANTIZES_HALF = 21  # first opset whose QuantizeLinear takes float16
_LARGEST = float(np.finfo(np.float16).max)


def to_half(model: ModelProto) -> ModelProto:
    """``model`` computing in float16, with float32 inputs and outputs as every bundle has them.

    An input that the network itself rounds to a grid is rounded in float32: float16 is too coarse to tell
    which step is nearest. Only sums and products with constants may come before that Round.
    Raises EdgeError where a weight does not fit.
    """
    copied = ModelProto()
    copied.CopyFrom(model)
    if any(node.op_type == "QuantizeLinear" for node in copied.graph.node):
        copied = version_converter.convert_version(copied, _QUANTIZES_HALF)
        copied.ir_version = IR_VERSION
    graph = copied.graph
    to_grids = [_to_grid(graph, value.name) for value in graph.input]
    exact = [node for nodes in to_grids for node in nodes]
    in_float32 = _in_float32(exact, graph)
    _halve_weights(graph)
    graph.initializer.extend(in_float32)
    starts = [
        nodes[-1].output[0] if nodes else value.name
        for value, nodes in zip(graph.input, to_grids, strict=True)
    ]
    inside = {name: f"{name}/half" for name in starts}
    outside = {value.name: f"{value.name}/half" for value in graph.output}
    nodes = exact + [_cast(name, half, TensorProto.FLOAT16) for name, half in inside.items()]
    for node in graph.node:
        if node in exact:
            continue
        if node.op_type == "Cast":
            for entry in node.attribute:
                if entry.name == "to" and entry.i == TensorProto.FLOAT:
                    entry.i = TensorProto.FLOAT16
        node.input[:] = [inside.get(name, outside.get(name, name)) for name in node.input]
        node.output[:] = [outside.get(name, name) for name in node.output]
        nodes.append(node)
    nodes += [_cast(half, name, TensorProto.FLOAT) for name, half in outside.items()]
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    del graph.value_info[:]
    onnx.checker.check_model(copied, full_check=True)
    return copied


def _to_grid(graph: GraphProto, name: str) -> list[NodeProto]:
    """The nodes that put input ``name`` on a grid, up to their Round; none where it is taken as it comes."""
    constants, nodes = {tensor.name for tensor in graph.initializer}, []
    outputs = {value.name for value in graph.output}
    while True:
        users = [node for node in graph.node if name in node.input]
        if len(users) != 1 or set(users[0].input) - constants != {name} or users[0].output[0] in outputs:
            return []
        nodes.append(users[0])
        if users[0].op_type == "Round":
            return nodes
        if users[0].op_type not in ("Add", "Div", "Mul", "Sub"):
            return []
        name = users[0].output[0]


def _in_float32(nodes: list[NodeProto], graph: GraphProto) -> list[TensorProto]:
    """Constants of their own for ``nodes``, which keep their type when the others change theirs."""
    own = []
    for tensor in list(graph.initializer):
        users = [node for node in nodes if tensor.name in node.input]
        if users:
            own.append(numpy_helper.from_array(numpy_helper.to_array(tensor), f"{tensor.name}/float32"))
        for node in users:
            node.input[:] = [own[-1].name if name == tensor.name else name for name in node.input]
        if users and not any(tensor.name in node.input for node in graph.node):
            graph.initializer.remove(tensor)
    return own


def _halve_weights(graph: GraphProto) -> None:
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            value = numpy_helper.to_array(tensor)
            if np.abs(value).max(initial=0) > _LARGEST:
                raise EdgeError(
                    f"weight {tensor.name!r} reaches {np.abs(value).max():g}, more than float16 holds"
                )
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float16), tensor.name))


def _cast(source: str, target: str, kind: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"{target}/cast", to=kind)
