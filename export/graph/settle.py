"""Values that a graph computes from sizes alone, such as the length of its window, become constants.

A step sees a single frame, so a length that it computed anew would be 1. Branches that sizes alone choose
are put in the place of their ``If``: the older exporter of PyTorch writes one for each ``squeeze(1)``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from edge.errors import EdgeError, reason
from export.graph.session import session

_SMALL = 4096  # values; what is larger is no size


def settle(model: ModelProto, name: str, shapes: Sequence[tuple[int, ...]]) -> None:
    """Change ``model`` in place; ``shapes`` of its input ``name`` differ in their batch if it is free."""
    while True:
        found = _of_sizes(model)
        values = _equal_values(model, name, shapes, found) if found else {}
        graph, left, inlined = model.graph, [], False
        for node in graph.node:
            if node.op_type == "If" and node.input[0] in values:
                left += _branch(node, bool(values[node.input[0]]))
                inlined = True
            elif not set(filter(None, node.output)) <= set(values):
                left.append(node)
        for key, value in values.items():
            graph.initializer.append(numpy_helper.from_array(np.array(value, order="C"), key))
        del graph.node[:]
        graph.node.extend(left)
        if not inlined:
            return


def _of_sizes(model: ModelProto) -> list[str]:
    """Results that follow from shapes and constants alone."""
    known = {tensor.name for tensor in model.graph.initializer}
    outputs = {value.name for value in model.graph.output}
    found = []
    for node in model.graph.node:
        if node.op_type == "If" or node.op_type.startswith("Random") or outputs & set(node.output):
            continue
        if node.op_type == "Shape" or all(name in known for name in node.input if name):
            known.update(node.output)
            found += [name for name in node.output if name]
    return found


def _equal_values(
    model: ModelProto, name: str, shapes: Sequence[tuple[int, ...]], found: list[str]
) -> dict[str, np.ndarray]:
    """The small ones of the tensors ``found`` that are the same for each of ``shapes``."""
    runner = session(model, found)
    try:
        runs = [runner.run(found, {name: np.zeros(shape, np.float32)}) for shape in shapes]
    except Exception as error:  # ONNX Runtime has one class per status and no common base
        raise EdgeError(f"ONNX Runtime cannot run the window ({reason(error)}); export it again") from error
    return {
        key: np.asarray(values[0])
        for key, *values in zip(found, *runs, strict=True)
        if np.size(values[0]) <= _SMALL and all(np.array_equal(values[0], other) for other in values)
    }


def _branch(node: NodeProto, taken: bool) -> list[NodeProto]:
    """The nodes of the branch that is taken, under the names of the outputs of ``node``."""
    wanted = "then_branch" if taken else "else_branch"
    graph = next(entry.g for entry in node.attribute if entry.name == wanted)
    nodes = [
        helper.make_node("Constant", [], [tensor.name], name=tensor.name, value=tensor)
        for tensor in graph.initializer
    ]
    nodes += graph.node
    for inner, outer in zip(graph.output, node.output, strict=True):
        nodes.append(helper.make_node("Identity", [inner.name], [outer], name=node.name or outer))
    return nodes


def lift_vectors(model: ModelProto) -> None:
    """Give vectors that a MatMul takes a second axis, in place.

    ONNX Runtime up to at least 1.31 fuses a Transpose in front of such a MatMul and then computes it wrongly.
    """
    graph, nodes = model.graph, []
    vectors = {tensor.name: tensor for tensor in graph.initializer if len(tensor.dims) == 1}
    for node in graph.node:
        at = next((at for at, name in enumerate(node.input) if name in vectors), None)
        if node.op_type != "MatMul" or at is None or all(name in vectors for name in node.input):
            nodes.append(node)
            continue
        out = node.output[0]
        column, product, axis = f"{out}/vector", f"{out}/product", f"{out}/axis"
        value = np.expand_dims(numpy_helper.to_array(vectors[node.input[at]]), at)
        graph.initializer.append(numpy_helper.from_array(np.array(value, order="C"), column))
        graph.initializer.append(numpy_helper.from_array(np.array([-1 - (at == 0)], np.int64), axis))
        node.input[at], node.output[0] = column, product
        nodes += [node, helper.make_node("Squeeze", [product, axis], [out], name=axis)]
    del graph.node[:]
    graph.node.extend(nodes)
