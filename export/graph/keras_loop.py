"""Keras' GRU arrives from tf2onnx as a Loop over time: recognise it and put the GRU operator in its place.

The recognition is a guess by shapes; whoever uses the result compares it with the original graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

from export.graph.nodes import attribute

Array = npt.NDArray[Any]


def loops_to_gru(model: ModelProto) -> ModelProto:
    """A copy of ``model`` with each Loop that looks like a Keras GRU replaced; others stay."""
    copy = ModelProto()
    copy.CopyFrom(model)
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in copy.graph.initializer}
    nodes: list[NodeProto] = []
    for node in copy.graph.node:
        gru = _gru(node, known, copy.graph) if node.op_type == "Loop" else None
        nodes.extend([node] if gru is None else gru)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def _gru(loop: NodeProto, known: dict[str, Array], graph: GraphProto) -> list[NodeProto] | None:
    """GRU and the nodes around it; None where the loop is something else."""
    body: GraphProto = attribute(loop, "body")
    carried = [value.name for value in body.input][2:]
    outside = dict(zip(carried, loop.input[2:], strict=True))
    made_inside = {name for node in body.node for name in node.output}
    weights = {name: known[source] for name, source in outside.items() if source in known}
    weights.update({name: value for name, value in known.items() if name not in made_inside})
    weights.update({tensor.name: numpy_helper.to_array(tensor) for tensor in body.initializer})

    reads = [n for n in body.node if n.op_type == "Gather" and n.input[0] not in (*made_inside, *weights)]
    sums = [n for n in body.node if n.op_type == "MatMul"]
    if len(reads) != 1 or len(sums) not in (2, 3):
        return None
    kernels = [weights.get(n.input[1]) for n in sums if n.input[0] == reads[0].output[0]]
    states = [name for name in carried if any(n.input[0] == name for n in sums)]
    if len(kernels) != 1 or kernels[0] is None or len(states) != 1:
        return None
    hidden = kernels[0].shape[1] // 3
    recurrent = _recurrent(body, weights, kernels[0], hidden)
    if recurrent is None:
        return None
    bias = next((v for v in weights.values() if v.shape in ((2, 3 * hidden), (3 * hidden,))), None)
    both = np.zeros((2, 3 * hidden), np.float32)
    if bias is not None:
        both[: 1 if bias.ndim == 1 else 2] = bias
    return _nodes(loop, graph, outside, reads[0], states[0], (kernels[0], recurrent, both), len(sums) == 2)


def _recurrent(body: GraphProto, weights: dict[str, Array], kernel: Array, hidden: int) -> Array | None:
    """The recurrent kernel (H,3H): used whole, or in slices where the reset gate comes first."""
    used = {name for node in body.node for name in node.input}
    for name in used:
        value = weights.get(name)
        if value is not None and value.shape == (hidden, 3 * hidden) and value is not kernel:
            return value
    return None


def _nodes(
    loop: NodeProto,
    graph: GraphProto,
    outside: dict[str, str],
    read: NodeProto,
    state: str,
    arrays: tuple[Array, Array, Array],
    reset_after: bool,
) -> list[NodeProto]:
    name = loop.name or loop.output[0]
    kernel, recurrent, bias = arrays
    constants = {
        f"{name}/W": kernel.T[None],
        f"{name}/R": recurrent.T[None],
        f"{name}/B": bias.reshape(1, -1),
        f"{name}/first": np.array([0], np.int64),
        f"{name}/second": np.array([1], np.int64),
    }
    for key, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), key))
    sequence = outside.get(read.input[0], read.input[0])
    start, y, last = f"{name}/initial_h", f"{name}/Y", f"{name}/Y_h"
    w, r, b, first, second = constants
    gru = helper.make_node(
        "GRU",
        [sequence, w, r, b, "", start],
        [y, last],
        name=name,
        hidden_size=len(recurrent),
        linear_before_reset=int(reset_after),
    )
    nodes = [helper.make_node("Unsqueeze", [outside[state], first], [start], name=f"{name}/start"), gru]
    place = list(outside).index(state)
    sequences = loop.output[len(outside) :]
    for output, source, axis in ((loop.output[place], last, first), *((s, y, second) for s in sequences)):
        if output:
            nodes.append(helper.make_node("Squeeze", [source, axis], [output], name=f"{name}/{axis[-5:]}"))
    return nodes
