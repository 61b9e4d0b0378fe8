"""Why a network cannot stream: the first node that makes it impossible, and the way out."""

from __future__ import annotations

from onnx import NodeProto

from export import blame
from export.graph import cells
from export.graph.axes import Axes
from export.graph.nodes import label

RECURRENT = ("GRU", "LSTM")
ELEMENTWISE = (
    *("Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Mod"),
    *("Mul", "Or", "Pow", "PRelu", "Sub", "Where"),
)


def check_recurrent(nodes: list[NodeProto]) -> None:
    """EdgeError for a recurrent layer that looks ahead or is not written out here; needs no run."""
    for node in nodes:
        if node.op_type in RECURRENT:
            cells.check_supported(node)
        if node.op_type == "RNN":
            raise blame.plain_rnn().of(label(node))


def check_mixing(nodes: list[NodeProto], axes: Axes) -> None:
    """EdgeError for the first node that joins times before a recurrent layer."""
    if not axes.mixing:
        return
    for node in nodes:
        if node.output[0] in axes.mixing and node.output[0] in axes.needed:
            how = axes.mixing[node.output[0]][1]
            raise blame.joins_times(how, node.op_type == "Conv").of(label(node))
    if not any(node.op_type in RECURRENT for node in nodes) and _unrolled(nodes, axes):
        node = axes.mixing[next(iter(axes.mixing))][0]
        raise blame.cell_in_a_loop().of(f"{label(node)}, in a graph without GRU or LSTM nodes,")


def needed_by_recurrent(nodes: list[NodeProto]) -> set[str]:
    """Tensors that a recurrent layer depends on."""
    needed: set[str] = set()
    for node in reversed(nodes):
        if node.op_type in RECURRENT or needed & set(node.output):
            needed |= set(node.input)
    return needed


def _unrolled(nodes: list[NodeProto], axes: Axes) -> bool:
    """Whether there is a gate or an activation of a cell for each time after the first."""
    reached: set[str] = set()
    gates = 0
    for node in nodes:
        if node.output[0] in axes.mixing or reached & set(node.input):
            reached |= set(node.output)
            gates += node.op_type in ("Tanh", "Sigmoid", "Relu")
    return gates >= axes.steps - 1
