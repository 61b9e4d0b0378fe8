"""ONNX files with one thing wrong: dims, types, operators, names, weights, order, data outside."""

from __future__ import annotations

import struct
from copy import deepcopy
from random import Random

from fuzz.wire import CHILDREN, Field, Message, make, parse, walk, write

INTEGERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    48,
    96,
    127,
    128,
    1 << 16,
    40_000,
    (1 << 31) - 1,
    1 << 31,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e38, -1e38, 1e-45, float("nan"), float("inf"), float("-inf"))
OPERATORS = (
    "Loop", "If", "Scan", "SequenceMap", "ConstantOfShape", "Expand", "Tile", "Range", "Resize", "Pad",
    "Conv",
    "MatMul", "Gemm", "Identity", "Add", "Mul", "Div", "Pow", "Exp", "Log", "Cast", "Reshape", "Shape",
    "Gather",
    "Concat", "Slice", "Where", "OneHot", "EyeLike", "RandomNormal", "StringNormalizer", "NonZero",
    "Optional",
    "SequenceEmpty", "DequantizeLinear", "QuantizeLinear", "Dropout", "BatchNormalization", "Foo", "",
)  # fmt: skip
DOMAINS = (
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "com.microsoft",
    "com.microsoft.experimental",
    "evil",
    "ai.onnx.training",
)
LOCATIONS = (
    "weights.bin", "golden.npz", "../outside.bin", "/etc/passwd", "../../../../../../etc/passwd",
    "model.fp32.onnx",
    "", "/dev/zero", "manifest.json", "*/_ORT_MEM_ADDR_/*",
)  # fmt: skip
_MOST = 1 << 16  # fields that are looked at


def mutate(data: bytes, rng: Random) -> bytes:
    """An ONNX file with one to three changes; ValueError if ``data`` is none."""
    model = parse(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        rng.choice(EDITS)(model, rng)
    return write(model)


def _messages(model: Message, *kinds: str) -> list[Message]:
    return [message for message in walk(model) if message.kind in kinds][:_MOST]


def any_field(model: Message, rng: Random) -> None:
    """Drop, double, move or overwrite a field anywhere."""
    message = rng.choice(_messages(model, *CHILDREN, "Dim", "Entry", "Opset", "Segment"))
    if not message.fields:
        return
    at = rng.randrange(len(message.fields))
    field, what = message.fields[at], rng.randrange(5)
    if what == 0:
        del message.fields[at]
    elif what == 1:
        message.fields.insert(at, deepcopy(field))
    elif what == 2:
        message.fields.insert(rng.randrange(len(message.fields)), message.fields.pop(at))
    elif what == 3:
        message.fields[at] = Field(rng.randrange(1, 27), field.wire, field.value)
    else:
        _overwrite(field, rng)


def _overwrite(field: Field, rng: Random) -> None:
    if isinstance(field.value, int):
        field.value = rng.choice((*INTEGERS, field.value + 1, field.value - 1 if field.value else 0))
    elif isinstance(field.value, bytes):
        field.value = change_bytes(field.value, rng) if field.wire == 2 else rng.randbytes(len(field.value))
    else:
        field.value = Message(field.value.kind, [])


def change_bytes(data: bytes, rng: Random) -> bytes:
    """Flipped, cut, grown or repeated bytes."""
    what, at = rng.randrange(5), rng.randrange(len(data)) if data else 0
    if what == 0 and data:
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    if what == 1:
        return data[:at]
    if what == 2:
        return data + rng.randbytes(rng.choice((1, 4, 64)))
    if what == 3:
        return data[:at] + rng.randbytes(4) + data[at + 4 :]
    return data[:at] + data[:at][-64:] + data[at:]


def dims(model: Message, rng: Random) -> None:
    """Another size of a tensor, an input or an output."""
    message = rng.choice(_messages(model, "Tensor", "Shape") or [model])
    if message.kind == "Tensor":
        fields = message.of(1)
        if not fields or rng.random() < 0.3:
            message.fields.append(Field(1, 0, rng.choice(INTEGERS)))
        else:
            rng.choice(fields).value = rng.choice(INTEGERS)
    elif message.kind == "Shape":
        size = make("Dim", (1, rng.choice(INTEGERS)) if rng.random() < 0.7 else (2, rng.choice("abN")))
        fields = message.of(1)
        if not fields or rng.random() < 0.3:
            message.fields.append(Field(1, 2, size))
        else:
            rng.choice(fields).value = size


def element_type(model: Message, rng: Random) -> None:
    """Another type of a tensor, an input or an output."""
    message = rng.choice(_messages(model, "Tensor", "TensorType") or [model])
    number = 2 if message.kind == "Tensor" else 1
    for field in message.of(number) if message is not model else []:
        field.value = rng.choice((*range(27), 1 << 31))


def operator(model: Message, rng: Random) -> None:
    """Another operator, another domain, or other names at a node."""
    nodes = _messages(model, "Node")
    if not nodes:
        return
    node, what = rng.choice(nodes), rng.randrange(4)
    if what == 0:
        node.fields = [f for f in node.fields if f.number != 4] + [
            Field(4, 2, rng.choice(OPERATORS).encode())
        ]
    elif what == 1:
        node.fields.append(Field(7, 2, rng.choice(DOMAINS).encode()))
    else:
        names = [f.value for other in nodes for f in other.fields if f.number in (1, 2)]
        fields = [f for f in node.fields if f.number in (1, 2)]
        if fields:
            rng.choice(fields).value = rng.choice((*names, b"", b"face", b"logits", b"\xff", b"a\nb"))


def weights(model: Message, rng: Random) -> None:
    """Other numbers in the weights: nasty floats, noise, fewer or more bytes."""
    tensors = [t for t in _messages(model, "Tensor") if t.of(9)]
    if not tensors:
        return
    field = rng.choice(tensors).of(9)[0]
    data = bytearray(field.value) if isinstance(field.value, bytes) else bytearray()
    if rng.random() < 0.6:
        for _ in range(rng.choice((1, 1, 4, 64))):
            if len(data) >= 4:
                at = rng.randrange(len(data) // 4) * 4
                data[at : at + 4] = struct.pack("<f", rng.choice(FLOATS))
        field.value = bytes(data)
    else:
        field.value = change_bytes(bytes(data), rng)


def attribute(model: Message, rng: Random) -> None:
    """Another value of an attribute, or a new one that holds a graph, a tensor or numbers."""
    nodes = _messages(model, "Node")
    if not nodes:
        return
    node = rng.choice(nodes)
    known = node.of(5)
    if known and rng.random() < 0.7:
        message = rng.choice(known).value
        if isinstance(message, Message) and message.fields:
            _overwrite(rng.choice(message.fields), rng)
        return
    inner = rng.choice(
        (
            make("Attribute", (1, "body"), (6, deepcopy(_graph(model))), (20, 5)),
            make("Attribute", (1, "pads"), *[(8, rng.choice(INTEGERS)) for _ in range(8)], (20, 7)),
            make("Attribute", (1, "value"), (5, tensor("v", [1], b"\0\0\0\0")), (20, 4)),
            make("Attribute", (1, "value"), (5, external(rng)), (20, 4)),
        )
    )
    node.fields.append(Field(5, 2, inner))


def outside(model: Message, rng: Random) -> None:
    """Weights that lie in another file."""
    tensors = _messages(model, "Tensor")
    if not tensors:
        return
    message = rng.choice(tensors)
    if rng.random() < 0.8:
        message.fields = [f for f in message.fields if f.number not in (4, 5, 7, 9, 10)]
    message.fields += external(rng).fields


def new_node(model: Message, rng: Random) -> None:
    """A node that nobody made: it may take memory, time or a name that exists."""
    graph = _graph(model)
    names = [f.value for n in _messages(model, "Node") for f in n.fields if f.number in (1, 2)] or [b"face"]
    shape = [rng.choice((1, 1000, 40_000, 1 << 40)) for _ in range(rng.choice((1, 2)))]
    graph.fields.append(
        Field(5, 2, tensor("fuzz_shape", [len(shape)], struct.pack(f"<{len(shape)}q", *shape), 7))
    )
    name = rng.choice(OPERATORS)
    inputs = [rng.choice((b"fuzz_shape", rng.choice(names), b"face")) for _ in range(rng.randrange(1, 4))]
    node = make(
        "Node", *[(1, i) for i in inputs], (2, rng.choice((b"fuzz_out", rng.choice(names)))), (4, name)
    )
    graph.fields.insert(rng.choice((0, len(graph.fields))), Field(1, 2, node))


def many(model: Message, rng: Random) -> None:
    """The same field hundreds of times."""
    message = rng.choice(_messages(model, "Graph", "Node", "Tensor", "Shape") or [model])
    if message.fields:
        field = rng.choice(message.fields)
        size = len(write(Message("", [field])))
        message.fields += [field] * min(rng.choice((10, 300, 3000)), 20_000 // size + 1)


def version(model: Message, rng: Random) -> None:
    """Another format or set of operators."""
    if rng.random() < 0.5:
        model.fields.append(Field(1, 0, rng.choice(INTEGERS)))
    else:
        model.fields.append(
            Field(8, 2, make("Opset", (1, rng.choice(DOMAINS)), (2, rng.choice((*range(27), 99, 1 << 63)))))
        )


def nested(model: Message, rng: Random) -> None:
    """A graph in a graph in a graph."""
    inner = make("Graph", (2, "g"))
    for _ in range(rng.choice((1, 5, 17, 60))):
        inner = make(
            "Graph", (1, make("Node", (4, "If"), (5, make("Attribute", (1, "then_branch"), (6, inner)))))
        )
    _graph(model).fields.append(Field(1, 2, inner.fields[0].value))


def _graph(model: Message) -> Message:
    for field in model.of(7):
        if isinstance(field.value, Message):
            return field.value
    model.fields.append(Field(7, 2, made := make("Graph")))
    return made


def tensor(name: str, shape: list[int], raw: bytes, kind: int = 1) -> Message:
    """A TensorProto; ``kind`` 1 is float, 7 is int64."""
    return make("Tensor", *[(1, size) for size in shape], (2, kind), (8, name), (9, raw))


def external(rng: Random) -> Message:
    """A TensorProto whose numbers lie in another file."""
    entries = [
        ("location", rng.choice(LOCATIONS)),
        ("offset", rng.choice(("0", "-1", "4096"))),
        ("length", "8"),
    ]
    rng.shuffle(entries)
    rows = [(13, make("Entry", (1, key), (2, value))) for key, value in entries[: rng.choice((1, 3, 3))]]
    return make("Tensor", (1, 2), (2, 1), *rows, (14, 1))


EDITS = (
    any_field, any_field, dims, dims, element_type, operator, operator, weights, weights, weights, attribute,
    attribute, outside, new_node, new_node, many, version, nested,
)  # fmt: skip
