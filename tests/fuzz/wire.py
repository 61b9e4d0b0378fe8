"""ONNX files as trees of fields, so that they can be changed and written again without the package onnx.

A second reading of the Protocol Buffers wire format, on purpose: it judges the one in `edge`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

# Message -> number of each field that holds a message -> its kind; from onnx.proto3 (ONNX 1.23).
CHILDREN = {
    "Model": {7: "Graph", 8: "Opset", 14: "Entry", 20: "Training", 25: "Function"},
    "Graph": {
        1: "Node", 5: "Tensor", 11: "Value", 12: "Value", 13: "Value", 14: "Annotation", 15: "Sparse",
        16: "Entry",
    },
    "Node": {5: "Attribute", 9: "Entry"},
    "Attribute": {
        5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 14: "Type", 15: "Type", 22: "Sparse",
        23: "Sparse",
    },
    "Tensor": {3: "Segment", 13: "Entry", 16: "Entry"},
    "Sparse": {1: "Tensor", 2: "Tensor"},
    "Value": {2: "Type", 4: "Entry"},
    "Type": {1: "TensorType", 4: "SequenceType", 5: "MapType", 8: "TensorType", 9: "SequenceType"},
    "TensorType": {2: "Shape"},
    "SequenceType": {1: "Type"},
    "MapType": {2: "Type"},
    "Shape": {1: "Dim"},
    "Training": {1: "Graph", 2: "Graph", 3: "Entry", 4: "Entry"},
    "Function": {7: "Node", 9: "Opset", 11: "Attribute", 12: "Value", 14: "Entry"},
    "Annotation": {2: "Entry"},
}  # fmt: skip


@dataclass
class Message:
    """A message of ``kind``: its fields in the order of the file."""

    kind: str
    fields: list[Field]

    def of(self, number: int) -> list[Field]:
        """The fields with this number."""
        return [field for field in self.fields if field.number == number]

    def text(self, number: int) -> str:
        """The last text field with this number, or ""."""
        found = [field.value for field in self.of(number) if isinstance(field.value, bytes)]
        return found[-1].decode("utf-8", "replace") if found else ""


@dataclass
class Field:
    """``wire``: 0 a number, 1 and 5 eight and four bytes, 2 bytes or a message."""

    number: int
    wire: int
    value: int | bytes | Message


def parse(data: bytes, kind: str = "Model", lenient: bool = False) -> Message:
    """The tree of an ONNX file; ValueError if it is none. ``lenient`` keeps broken ones inside as bytes."""
    fields, at = [], 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: int | bytes | Message
        if wire == 0:
            value, at = _varint(data, at)
        elif wire in (1, 2, 5):
            size = {1: 8, 5: 4}.get(wire, -1)
            if size < 0:
                size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("a field is longer than its message")
            value, at = data[at : at + size], at + size
            if wire == 2 and (inner := CHILDREN.get(kind, {}).get(number)):
                with suppress(*[ValueError] * lenient):
                    value = parse(value, inner, lenient)
        else:
            raise ValueError(f"wire type {wire}")
        fields.append(Field(number, wire, value))
    return Message(kind, fields)


def write(message: Message) -> bytes:
    """The bytes of a tree."""
    out = bytearray()
    for field in message.fields:
        out += _number(field.number << 3 | field.wire)
        if isinstance(field.value, int):
            out += _number(field.value)
        else:
            data = write(field.value) if isinstance(field.value, Message) else field.value
            out += _number(len(data)) + data if field.wire == 2 else data
    return bytes(out)


def make(kind: str, *fields: tuple[int, int | str | bytes | Message]) -> Message:
    """A message from (number, value) pairs."""
    made = []
    for number, value in fields:
        content = value.encode() if isinstance(value, str) else value
        made.append(Field(number, 0 if isinstance(content, int) else 2, content))
    return Message(kind, made)


def walk(message: Message) -> Iterator[Message]:
    """The message and all inside it."""
    yield message
    for field in message.fields:
        if isinstance(field.value, Message):
            yield from walk(field.value)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if at + index >= len(data):
            break
        value |= (data[at + index] & 0x7F) << 7 * index
        if data[at + index] < 0x80:
            return value & (1 << 64) - 1, at + index + 1
    raise ValueError("a number has no end")


def _number(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
