"""What a network's graph may contain, checked before ONNX Runtime, TensorRT or OpenCV parses the file.

A step is a fixed calculation on faces and states. So it has no loops and branches, reads no other files, and
the sizes of its tensors follow from the number of faces, never from what the faces or states show. Memory and
time of a step are then the same for every face, and one trial says what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from edge.engines.graph_file import Graph, Node, read

MOST_NODES = 100_000
MOST_VALUES = 1 << 24  # of a tensor that an operator makes from a constant shape
_STANDARD = ("", "ai.onnx")  # domains of operators; the export writes no other
_REFUSED = frozenset(("Loop", "If", "Scan", "SequenceMap"))
# Operator -> which of its inputs say how large its output is, and are numbers of values along an axis.
_SIZES: dict[str, tuple[int, ...]] = {
    "AffineGrid": (1,), "BlackmanWindow": (0,), "CenterCropPad": (1,), "Col2Im": (1, 2),
    "ConstantOfShape": (0,), "DFT": (1,), "Expand": (1,), "HammingWindow": (0,), "HannWindow": (0,),
    "ImageDecoder": (0,), "MaxUnpool": (2,), "MelWeightMatrix": (0, 1), "OneHot": (1,), "Pad": (1,),
    "Range": (0, 1, 2), "Resize": (1, 2, 3), "STFT": (1, 3), "Tile": (1,), "Upsample": (1,),
}  # fmt: skip
# Operator -> which of its inputs decide otherwise on the shape of its output. Where an axis goes is enough:
# a column times a row is a whole matrix.
_SHAPES: dict[str, tuple[int, ...]] = {
    "Compress": (1,), "DFT": (2,), "NonMaxSuppression": (0, 1, 2, 3, 4), "NonZero": (0,), "Pad": (3,),
    "Reshape": (1,), "SequenceAt": (1,), "SequenceErase": (1,), "SequenceInsert": (2,),
    "Slice": (1, 2, 3, 4), "Split": (1,), "SplitToSequence": (1,), "Squeeze": (1,), "StringNormalizer": (0,),
    "StringSplit": (0,), "TopK": (1,), "Unique": (0,), "Unsqueeze": (1,),
    **dict.fromkeys(
        [f"Reduce{kind}" for kind in (
            "L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"
        )],
        (1,),
    ),
}  # fmt: skip
_RANDOM = frozenset((
    "Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike",
))  # fmt: skip


def check_graph(model: bytes) -> None:
    """Refuse an ONNX file that is no step; ValueError names the node, the fault and what is allowed."""
    graph = read(model)
    if len(graph.nodes) > MOST_NODES:
        raise ValueError(f"it has {len(graph.nodes):,} nodes, at most {MOST_NODES:,} are read")
    for node in graph.nodes:
        _check_operator(node)
    _check_names(graph)
    _check_sizes(graph)


def _check_operator(node: Node) -> None:
    if node.domain not in _STANDARD:
        raise ValueError(f"the {node} is of the domain {node.domain!a:.40}, expected ONNX's own operators")
    if node.operator in _REFUSED:
        raise ValueError(f"the {node} repeats or branches, which no step needs")


def _check_names(graph: Graph) -> None:
    """Every name is made once, and before it is read: so there is no circle."""
    made = {tensor.name for tensor in graph.constants}
    if len(made) < len(graph.constants):
        raise ValueError("two of its constants have the same name")
    known = made | set(graph.inputs)
    for node in graph.nodes:
        for name in node.inputs:
            if name and name not in known:
                raise ValueError(f"the {node} reads {name!a:.60}, which no node before it makes")
        for name in node.outputs:
            if name in known:
                raise ValueError(f"the {node} makes {name!a:.60}, which is there already")
            if name:
                known.add(name)


def _check_sizes(graph: Graph) -> None:
    """No tensor's size depends on the content of faces and states, and sizes that are written are small."""
    constants = {tensor.name: tensor.values for tensor in graph.constants}
    varying = set(graph.inputs) - set(constants)
    for node in graph.nodes:
        sizes = _at(node, _SIZES)
        if not varying.isdisjoint([*sizes, *_at(node, _SHAPES)]):
            raise ValueError(f"the {node} takes a size from the content of faces or states, or at random")
        if sizes:
            _check_written(node, sizes, constants)
        if node.constant is not None:
            constants.update(dict.fromkeys(node.outputs, node.constant.values))
        if node.operator in _RANDOM or (
            node.operator not in ("Shape", "Size") and not varying.isdisjoint(node.inputs)
        ):
            varying.update(name for name in node.outputs if name)


def _at(node: Node, table: Mapping[str, tuple[int, ...]]) -> list[str]:
    """The inputs of ``node`` that a table names."""
    return [node.inputs[at] for at in table.get(node.operator, ()) if at < len(node.inputs)]


def _check_written(node: Node, sizes: Sequence[str], constants: Mapping[str, tuple[int, ...] | None]) -> None:
    """Refuse a size above the bound that stands in the file itself."""
    values = [constants.get(name) or () for name in sizes]
    count = max(prod(max(1, abs(value)) for value in row) for row in values)
    if node.operator == "Pad":  # how much is added on each side, not a shape
        count = max((abs(value) for row in values for value in row), default=0)
    if node.operator == "Range" and [len(row) for row in values] == [1, 1, 1]:
        start, end, step = (row[0] for row in values)
        count = (end - start) // (step or 1)
    if count > MOST_VALUES:
        raise ValueError(f"the {node} makes {count:,} values, at most {MOST_VALUES:,} are allowed")
