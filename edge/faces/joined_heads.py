"""YuNet's four heads of a stride as one: the same numbers from 6 convolutions instead of 24.

The heads for class, object, box and points read the same features. Each is a 1x1 convolution and a depthwise
3x3 one, so that their weights can stand one behind the other. Transposes, reshapes and sigmoids go: only a
few cells hold a face, and their values are read where they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edge.system.wire_format import BYTES, VARINT, fields, integers, write_bytes, write_integer

# Field numbers of onnx.proto.
_GRAPH = 7  # of a model
_NODE, _TENSOR, _OUTPUT, _VALUE = 1, 5, 12, 13  # of a graph
_FLOAT = 1  # element type
_CHAIN = ["Conv", "Conv", "Transpose", "Reshape"]  # a head
_WITH_SIGMOID = ("cls", "obj")  # heads that a sigmoid follows
_POINTWISE, _DEPTHWISE = (1, 0), (3, 1)  # side of a kernel, padding
_MOST_NUMBERS = 8  # in an attribute or a shape


class _Node(NamedTuple):
    kind: str
    inputs: list[str]
    outputs: list[str]
    numbers: dict[str, list[int]]  # the attributes
    content: bytes


class _Tensor(NamedTuple):
    shape: list[int]
    kind: int
    values: bytes
    content: bytes


class _Head(NamedTuple):
    features: str
    tensors: list[_Tensor]  # weights and bias of the 1x1 convolution, then of the 3x3 one


def joined(model: bytes, groups: Sequence[Mapping[str, int]]) -> bytes | None:
    """The ONNX file with outputs ``heads_0`` and so on, (1,C,H,W), one for each of ``groups``.

    A group maps the names of outputs to their channels, which follow each other in its joint output, before
    any sigmoid. None if these outputs are not heads as YuNet has them. ValueError if it is no ONNX file.
    """
    graph = _Graph(model)
    tails, features = [], []
    for index, group in enumerate(groups):
        heads = [graph.head(name, channels) for name, channels in group.items()]
        found = [head for head in heads if head is not None]
        if len(found) < len(group) or len({head.features for head in found}) != 1:
            return None
        features.append(found[0].features)
        tails.append(_joint(f"heads_{index}", found))
    return graph.ending_in(features, b"".join(tails))


class _Graph:
    """The nodes and weights of a model."""

    def __init__(self, model: bytes) -> None:
        parts: dict[int, list[bytes]] = {_NODE: [], _TENSOR: []}
        self._around, self._inside = b"", b""  # what else the model holds, and its graph
        for field in fields(model):
            if (field.number, field.kind) != (_GRAPH, BYTES):
                self._around += model[field.start : field.stop]
                continue
            for part in fields(model, field.at, field.stop):
                if part.kind == BYTES and part.number in parts:
                    parts[part.number].append(model[part.at : part.stop])
                elif part.number not in (_OUTPUT, _VALUE):
                    self._inside += model[part.start : part.stop]
        self._nodes = [_node(content) for content in parts[_NODE]]
        self._makers = {name: node for node in self._nodes for name in node.outputs}
        self._tensors = dict(map(_tensor, parts[_TENSOR]))

    def head(self, output: str, channels: int) -> _Head | None:
        """The two convolutions behind ``output``; None if it is anything else."""
        nodes: list[_Node] = []
        ending = self._makers.get(output)
        if (ending is not None and ending.kind == "Sigmoid") != output.startswith(_WITH_SIGMOID):
            return None
        if ending is not None and ending.kind == "Sigmoid" and ending.inputs:
            output = ending.inputs[0]
        while len(nodes) < len(_CHAIN) and (node := self._makers.get(output)) is not None and node.inputs:
            output = node.inputs[0]
            nodes.insert(0, node)
        if [node.kind for node in nodes] != _CHAIN or nodes[2].numbers != {"perm": [0, 2, 3, 1]}:
            return None
        one, three = nodes[:2]
        if not (_slides(one, _POINTWISE, 1) and _slides(three, _DEPTHWISE, channels)):
            return None
        tensors = [self._tensors.get(name) for node in (one, three) for name in node.inputs[1:]]
        kept = [tensor for tensor in tensors if tensor is not None and _is_whole(tensor)]
        shapes = [tensor.shape for tensor in kept]
        inner = shapes[0][1] if shapes and len(shapes[0]) == 4 else 0
        expected = [[channels, inner, 1, 1], [channels], [channels, 1, 3, 3], [channels]]
        return _Head(output, kept) if shapes == expected else None

    def ending_in(self, features: Sequence[str], tail: bytes) -> bytes:
        """The model with what ``features`` need of its nodes, and the fields ``tail`` of a graph."""
        wanted = list(features)
        used: set[str] = set()
        while wanted:
            if (name := wanted.pop()) not in used:
                used.add(name)
                wanted += self._makers[name].inputs if name in self._makers else ()
        nodes = [node.content for node in self._nodes if used.intersection(node.outputs)]
        tensors = [tensor.content for name, tensor in self._tensors.items() if name in used]
        kept = [write_bytes(_NODE, content) for content in nodes]
        kept += [write_bytes(_TENSOR, content) for content in tensors]
        return self._around + write_bytes(_GRAPH, b"".join([*kept, tail, self._inside]))


def _slides(node: _Node, kernel: tuple[int, int], groups: int) -> bool:
    """Whether a convolution moves a square kernel by single pixels, with as many ``groups``."""
    (side, padding), numbers = kernel, node.numbers
    expected = {"kernel_shape": [side] * 2, "pads": [padding] * 4, "strides": [1] * 2, "dilations": [1] * 2}
    return numbers == expected | {"group": [groups]} and len(node.inputs) == 3


def _is_whole(tensor: _Tensor) -> bool:
    """Whether it holds as many floats as its shape says."""
    count = 1
    for size in tensor.shape:
        count *= size
    return tensor.kind == _FLOAT and len(tensor.values) == 4 * count


def _joint(output: str, heads: Sequence[_Head]) -> bytes:
    """Nodes, weights and output of a graph, as its fields."""
    channels = sum(head.tensors[1].shape[0] for head in heads)
    names = [f"{output}_{name}" for name in ("weight_1", "bias_1", "weight_3", "bias_3")]
    inner = f"{output}_inner"
    written = [
        _conv([heads[0].features, *names[:2]], inner, _POINTWISE, 1),
        _conv([inner, *names[2:]], output, _DEPTHWISE, channels),
        write_bytes(_OUTPUT, write_bytes(1, output.encode()) + _OF_FLOATS),
    ]
    for name, tensors in zip(names, zip(*(head.tensors for head in heads), strict=True), strict=True):
        shape = b"".join(write_integer(1, size) for size in (channels, *tensors[0].shape[1:]))
        values = b"".join(tensor.values for tensor in tensors)
        content = shape + write_integer(2, _FLOAT) + write_bytes(8, name.encode()) + write_bytes(9, values)
        written.append(write_bytes(_TENSOR, content))
    return b"".join(written)


# The type of an output with four sizes, all of them open.
_OF_FLOATS = write_bytes(
    2, write_bytes(1, write_integer(1, _FLOAT) + write_bytes(2, 4 * write_bytes(1, b"")))
)


def _conv(inputs: Sequence[str], output: str, kernel: tuple[int, int], groups: int) -> bytes:
    side, padding = kernel
    named = [write_bytes(1, name.encode()) for name in inputs]
    attributes = [_ints("kernel_shape", [side] * 2), _ints("pads", [padding] * 4)]
    group = write_bytes(1, b"group") + write_integer(3, groups) + write_integer(20, 2)
    named += [write_bytes(2, output.encode()), write_bytes(4, b"Conv")]
    return write_bytes(_NODE, b"".join([*named, *attributes, write_bytes(5, group)]))


def _ints(name: str, values: Sequence[int]) -> bytes:
    numbers = b"".join(write_integer(8, value) for value in values)
    return write_bytes(5, write_bytes(1, name.encode()) + numbers + write_integer(20, 7))


def _node(data: bytes) -> _Node:
    inputs: list[str] = []
    outputs: list[str] = []
    numbers: dict[str, list[int]] = {}
    kind = ""
    for field in fields(data):
        if field.kind != BYTES:
            continue
        content = data[field.at : field.stop]
        if field.number == 5:
            name, values = _attribute(content)
            numbers[name] = values
        elif field.number == 1:
            inputs.append(_text(content))
        elif field.number == 2:
            outputs.append(_text(content))
        elif field.number == 4:
            kind += _text(content)
        elif field.number == 7 and content:  # of another domain
            kind += f" of {_text(content)}"
    return _Node(kind, inputs, outputs, numbers, data)


def _attribute(data: bytes) -> tuple[str, list[int]]:
    """Name and whole numbers; other values have none."""
    name = ""
    values: list[int] = []
    for field in fields(data):
        if (field.number, field.kind) == (1, BYTES):
            name = _text(data[field.at : field.stop])
        elif (field.number in (3, 8)) and len(values) <= _MOST_NUMBERS:
            values += integers(data, field, _MOST_NUMBERS)
    return name, values


def _tensor(data: bytes) -> tuple[str, _Tensor]:
    name, kind, values = "", 0, b""
    shape: list[int] = []
    for field in fields(data):
        if field.number == 1 and len(shape) <= _MOST_NUMBERS:
            shape += integers(data, field, _MOST_NUMBERS)
        elif (field.number, field.kind) == (2, VARINT):
            kind = field.value
        elif (field.number, field.kind) == (8, BYTES):
            name = _text(data[field.at : field.stop])
        elif (field.number, field.kind) == (9, BYTES):
            values = data[field.at : field.stop]
    return name, _Tensor(shape, kind, values, data)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")
