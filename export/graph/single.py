"""Networks without memory: single frames (N,C,H,W), taken for windows (N,T,C,H,W)."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edge.errors import EdgeError, reason
from export.graph.session import session


def with_time(model: ModelProto, name: str, sizes: list[int | None], steps: int) -> str:
    """Make the input ``name`` of ``sizes`` (N,C,H,W) one of windows of ``steps`` frames; its new name.

    Each frame is a row of its own: an answer (B,K) becomes (B*T,K). EdgeError where the batch is fixed and
    cannot be freed.
    """
    if sizes[0] is not None:
        _free_batch(model, name, sizes)
    graph, frames = model.graph, f"{name}/window"
    given = next(value for value in graph.input if value.name == name)
    graph.input.remove(given)
    shape = [None, steps, *sizes[1:]]
    graph.input.append(helper.make_tensor_value_info(frames, TensorProto.FLOAT, shape))
    rows = numpy_helper.from_array(np.array([-1, *sizes[1:]], np.int64), f"{name}/rows")
    graph.initializer.append(rows)
    graph.node.insert(0, helper.make_node("Reshape", [frames, rows.name], [name], name=rows.name))
    return frames


def _free_batch(model: ModelProto, name: str, sizes: list[int | None]) -> None:
    """Take any number of rows where the export fixed it, by letting each Reshape keep its first axis."""
    number, *face = (size or 1 for size in sizes)
    frames = np.random.default_rng(0).standard_normal((3 * number, *face)).astype(np.float32)
    before = [session(model).run(None, {name: part})[0] for part in np.split(frames, 3)]
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "Reshape" or node.input[1] not in constants:
            continue
        wanted = numpy_helper.to_array(constants[node.input[1]]).copy()
        if wanted.size > 1 and wanted[0] == number:
            wanted[0] = 0
            graph.initializer.append(numpy_helper.from_array(wanted, f"{node.output[0]}/rows"))
            node.input[1] = f"{node.output[0]}/rows"
            del node.attribute[:]  # allowzero, which would take the 0 for a size
    given = next(value for value in graph.input if value.name == name)
    for value in (given, *graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "N"
    del graph.value_info[:]
    try:
        after = session(model).run(None, {name: frames})[0]
        same = np.allclose(np.concatenate(before), after, atol=1e-4)
        fault = "its rows depend on each other"
    except Exception as error:  # ONNX Runtime has one class per status and no common base
        same, fault = False, reason(error)
    if not same:
        raise EdgeError(
            f"the network takes batches of {number} alone ({fault}); export it with a free batch "
            "(dynamic_axes or dynamic_shapes)"
        )
