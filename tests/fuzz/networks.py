"""Small networks written field by field: what a step is made of, without the package onnx."""

from __future__ import annotations

import struct
from random import Random

from fuzz.onnx_edits import tensor
from fuzz.wire import Message, make

_INTS, _INT, _FLOAT, _TENSOR = 7, 2, 1, 4  # AttributeProto.type


def value(name: str, *sizes: int | str, kind: int = 1) -> Message:
    """An input or output of floats; a text is the name of an open size."""
    dims = [(1, make("Dim", (1 if isinstance(size, int) else 2, size))) for size in sizes]
    shape = make("Shape", *dims)
    return make("Value", (1, name), (2, make("Type", (1, make("TensorType", (1, kind), (2, shape))))))


def node(kind: str, inputs: str, outputs: str, *attributes: Message) -> Message:
    """A node; names of inputs and outputs stand between spaces."""
    rows = [*((1, name) for name in inputs.split()), *((2, name) for name in outputs.split())]
    return make("Node", *rows, (4, kind), *((5, attribute) for attribute in attributes))


def ints(name: str, *values: int) -> Message:
    """An attribute of whole numbers."""
    return make("Attribute", (1, name), *((8, number) for number in values), (20, _INTS))


def model(
    nodes: list[Message], inputs: list[Message], outputs: list[Message], weights: list[Message]
) -> Message:
    """A model of opset 18."""
    graph = make(
        "Graph", *((1, item) for item in nodes), (2, "g"), *((5, item) for item in weights),
        *((11, item) for item in inputs), *((12, item) for item in outputs),
    )  # fmt: skip
    return make("Model", (1, 10), (7, graph), (8, make("Opset", (2, 18))))


def floats(name: str, *sizes: int) -> Message:
    """Weights of a few sizes, noise that is always the same."""
    count, rng = 1, Random(len(name))
    for size in sizes:
        count *= size
    return tensor(
        name, list(sizes), struct.pack(f"<{count}f", *(rng.uniform(-0.5, 0.5) for _ in range(count)))
    )


def recurrent() -> Message:
    """A step for the manifest of the tiny bundle with what real ones have: Conv, Gemm, gates, a Constant."""
    one = make("Attribute", (1, "value"), (5, tensor("one", [1], struct.pack("<f", 1.0))), (20, _TENSOR))
    nodes = [
        node("Conv", "face kernel", "maps", ints("strides", 2, 2), ints("pads", 0, 0, 0, 0)),
        node("Relu", "maps", "active"),
        node("GlobalAveragePool", "active", "pooled"),
        node("Flatten", "pooled", "features"),
        node("Gemm", "features into", "candidate"),
        node("Gemm", "state_h over", "carried"),
        node("Add", "candidate carried", "sum"),
        node("Sigmoid", "sum", "gate"),
        node("Constant", "", "one", one),
        node("Sub", "one gate", "rest"),
        node("Mul", "rest state_h", "kept"),
        node("Tanh", "candidate", "new"),
        node("Mul", "gate new", "added"),
        node("Add", "kept added", "new_state_h"),
        node("MatMul", "new_state_h out", "logits"),
    ]
    weights = [floats("kernel", 2, 1, 3, 3), floats("into", 2, 2), floats("over", 2, 2), floats("out", 2, 3)]
    inputs = [value("face", "N", 1, 8, 8), value("state_h", "N", 2)]
    return model(nodes, inputs, [value("logits", "N", 3), value("new_state_h", "N", 2)], weights)


def detector() -> Message:
    """A network with fixed sizes, as YuNet has."""
    inputs, outputs = (
        [value("input", 1, 3, 640, 640)],
        [value("cls_8", 1, 6400, 1), value("obj_8", 1, 6400, 1)],
    )
    return model([node("Identity", "input", "cls_8")], inputs, outputs, [])


def heads() -> Message:
    """Two heads on the same features, as YuNet has."""
    nodes, weights = [], [floats("size", 3)]
    for name, channels in (("classes", 1), ("boxes", 4)):
        nodes += [
            _convolution(f"features {name}_a {name}_b", f"{name}_inner", 1, 1),
            _convolution(f"{name}_inner {name}_c {name}_d", f"{name}_out", 3, channels),
            node("Transpose", f"{name}_out", f"{name}_last", ints("perm", 0, 2, 3, 1)),
            node("Reshape", f"{name}_last size", name),
        ]
        sizes = ((channels, 2, 1, 1), (channels,), (channels, 1, 3, 3), (channels,))
        weights += [floats(f"{name}_{letter}", *of) for letter, of in zip("abcd", sizes, strict=True)]
    inputs = [value("features", 1, 2, "H", "W")]
    return model(nodes, inputs, [value("classes", 1, "N", 1), value("boxes", 1, "N", 4)], weights)


def _convolution(inputs: str, output: str, side: int, groups: int) -> Message:
    group = make("Attribute", (1, "group"), (3, groups), (20, _INT))
    return node(
        "Conv", inputs, output, ints("kernel_shape", side, side), ints("pads", *[side // 2] * 4),
        ints("strides", 1, 1), ints("dilations", 1, 1), group,
    )  # fmt: skip
