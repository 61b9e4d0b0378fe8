"""An ONNX file as far as it has to be known before ONNX Runtime sees it: operators, names, small numbers.

The numbers of the fields are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
Where two parsers could understand a file in different ways, it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from edge.system.wire_format import BYTES, VARINT, Field, fields, integers

MOST_FIELDS = 2_000_000  # of the whole file; the reference has 2,000
_MOST_DIMENSIONS = 64
_MOST_NUMBERS = 64  # of a tensor whose values are of interest, as those of a shape
_STRETCH = 8  # values for each byte of a tensor: no type of ONNX takes less than two bits
_INT32, _INT64 = 6, 7  # types of elements


@dataclass(frozen=True, slots=True)
class Tensor:
    """A constant; ``values`` are known where it holds a few whole numbers."""

    name: str
    values: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Node:
    """One step of the calculation; "" is an input or output that was left out."""

    operator: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constant: Tensor | None  # of an operator Constant

    def __str__(self) -> str:
        return f"{self.operator!a:.40} node {(self.name or next(iter(self.outputs), ''))!a:.60}"


@dataclass(frozen=True, slots=True)
class Graph:
    """All of a file that is checked."""

    nodes: list[Node]
    constants: list[Tensor]
    inputs: list[str]


def read(model: bytes) -> Graph:
    """The graph of an ONNX file.

    ValueError, in one line, for what is no ONNX file, and for what no step of a network needs: data in other
    files, graphs within nodes, functions, training, sparse tensors, a shape that its data do not fill.
    """
    return _File(model).graph()


class _File:
    """Reads one file, and counts what it reads."""

    def __init__(self, data: bytes) -> None:
        self._data, self._left = data, MOST_FIELDS

    def graph(self) -> Graph:
        graphs: list[Field] = []
        for field in self._fields(0, len(self._data)):
            if field.number in (20, 25):
                raise ValueError("it contains functions or training, which no step needs")
            if field.number == 7:
                graphs.append(field)
        if len(graphs) != 1 or graphs[0].kind != BYTES:
            raise ValueError(f"it contains {len(graphs)} graphs, expected one")
        found = Graph([], [], [])
        for field in self._within(graphs[0]):
            if field.number == 15:
                raise ValueError("it contains sparse tensors, which no step needs")
            if field.kind != BYTES:
                continue
            if field.number == 1:
                found.nodes.append(self._node(field))
            elif field.number == 5:
                found.constants.append(self._tensor(field))
            elif field.number == 11:
                found.inputs.append(self._name_of(field))
        return found

    def _node(self, field: Field) -> Node:
        words: dict[int, list[str]] = {number: [] for number in (1, 2, 3, 4, 7)}
        attributes: list[Field] = []
        for part in self._within(field):
            if part.kind == BYTES and part.number in words:
                words[part.number].append(self._text(part))
            elif part.kind == BYTES and part.number == 5:
                attributes.append(part)
        inputs, outputs, *single = (tuple(words[number]) for number in (1, 2, 3, 4, 7))
        name, operator, domain = (word[-1] if word else "" for word in single)
        node = Node(operator, domain, name, inputs, outputs, None)
        constants = [constant for part in attributes for constant in self._attribute(part, node)]
        if operator != "Constant" or len(constants) != 1:
            return node
        return Node(operator, domain, name, inputs, outputs, constants[0])

    def _attribute(self, field: Field, node: Node) -> Iterator[Tensor]:
        """The constants in an attribute; ValueError if it contains a graph."""
        numbers: list[int] = []
        tensors = 0
        for part in self._within(field):
            if part.number in (6, 11):
                raise ValueError(f"the {node} contains a graph of its own, which no step needs")
            if part.number in (22, 23):
                raise ValueError(f"the {node} contains sparse tensors, which no step needs")
            if part.number in (5, 10) and part.kind == BYTES:
                tensors += part.number == 5
                yield self._tensor(part, str(node))
            elif part.number in (3, 8) and node.operator == "Constant" and len(numbers) <= _MOST_NUMBERS:
                numbers += self._integers(part)
        if tensors > 1:
            raise ValueError(f"the {node} contains two tensors in one attribute")
        if 0 < len(numbers) <= _MOST_NUMBERS and not tensors:
            yield Tensor("", tuple(numbers))

    def _tensor(self, field: Field, of: str = "") -> Tensor:
        shape: list[int] = []
        name, kind, stored, raw = "", 0, [], None
        for part in self._within(field):
            if part.number == 13 or (part.number == 14 and part.value & 0xFFFFFFFF):
                raise ValueError(f"the data of {of or f'tensor {name!a:.60}'} are in another file")
            if part.number == 1:
                shape += integers(self._data, part, _MOST_DIMENSIONS)
            elif part.number == 2 and part.kind == VARINT:
                kind = part.value & 0xFFFFFFFF
            elif part.number == 8 and part.kind == BYTES:
                name = self._text(part)
            elif part.number == 9 and part.kind == BYTES:
                raw = part
            elif part.number in (5, 7):
                stored.append(part)
        told = of or f"tensor {name!a:.60}"
        if len(shape) > _MOST_DIMENSIONS or min(shape, default=0) < 0:
            raise ValueError(f"{told} has the shape {str(shape)[:60]}")
        if (count := prod(shape)) > _STRETCH * (field.stop - field.at):
            raise ValueError(f"{told} has {count:,} values, but only {field.stop - field.at:,} bytes")
        return Tensor(name, self._values(kind, count, stored, raw))

    def _values(
        self, kind: int, count: int, stored: list[Field], raw: Field | None
    ) -> tuple[int, ...] | None:
        """The values of a short tensor of whole numbers; None for others."""
        if kind not in (_INT32, _INT64) or count > _MOST_NUMBERS:
            return None
        if raw is None:
            return tuple(value for field in stored for value in self._integers(field))
        size, content = (4 if kind == _INT32 else 8), self._data[raw.at : raw.stop]
        parts = (content[at : at + size] for at in range(0, len(content), size))
        return tuple(int.from_bytes(part, "little", signed=True) for part in parts)

    def _integers(self, field: Field) -> list[int]:
        return integers(self._data, field, _MOST_NUMBERS)

    def _name_of(self, field: Field) -> str:
        """The name of a tensor that is fed."""
        names = [self._text(part) for part in self._within(field) if (part.number, part.kind) == (1, BYTES)]
        return names[-1] if names else ""

    def _text(self, field: Field) -> str:
        return self._data[field.at : field.stop].decode("utf-8", "surrogateescape")

    def _within(self, field: Field) -> Iterator[Field]:
        return self._fields(field.at, field.stop)

    def _fields(self, at: int, stop: int) -> Iterator[Field]:
        for field in fields(self._data, at, stop):
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"it has more than {MOST_FIELDS:,} fields")
            yield field
