"""ONNX files: what the check of the graph lets through has no loops, no branches and no data elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import tiny
from fuzz import onnx_edits
from fuzz.networks import detector, heads, recurrent
from fuzz.targets.base import MOST_TEXT, Target
from fuzz.wire import Message, parse, walk, write

from edge.engines.graph_check import check_graph
from edge.faces.joined_heads import joined
from edge.faces.yunet_network import free_dimensions

BRANCHES = ("If", "Loop", "Scan", "SequenceMap")
DOMAINS = ("", "ai.onnx", "com.microsoft")
MOST_NODES, MOST_VALUES = 100_000, 1 << 24


def run(data: bytes) -> bool:
    _free(data)
    _join(data)
    try:
        check_graph(data)
    except ValueError as error:
        _tell(error)
        return False
    _harmless(parse(data, lenient=True))  # types of inputs, for example, are left to ONNX Runtime
    return True


def _tell(error: ValueError) -> None:
    text = str(error)
    assert text.isprintable(), repr(text)
    assert 0 < len(text) <= MOST_TEXT, text[:200]


def _harmless(model: Message) -> None:
    assert len(model.of(7)) == 1, "not one graph"
    assert not model.of(20), "training"
    assert not model.of(25), "functions"
    nodes = [message for message in walk(model) if message.kind == "Node"]
    assert len(nodes) <= MOST_NODES, f"{len(nodes)} nodes"
    for node in nodes:
        assert node.text(4) not in BRANCHES, node.text(4)
        assert node.text(7) in DOMAINS, node.text(7)
    made: list[str] = []
    for node in nodes:
        made += [
            field.value.decode("utf-8", "replace") for field in node.of(2) if isinstance(field.value, bytes)
        ]
    named = [name for name in made if name]
    assert len(set(named)) == len(named), "two nodes make the same tensor"
    for message in walk(model):
        if message.kind == "Attribute":
            assert not [field for field in message.fields if field.number in (6, 11, 22, 23)], (
                "a graph in a node"
            )
        if message.kind == "Tensor":
            _filled(message)
        assert message.kind != "Graph" or not message.of(15), "sparse tensors"


def _filled(tensor: Message) -> None:
    """Its data are in the file, and as many as its shape says."""
    assert not tensor.of(13), "data in another file"
    assert not any(isinstance(f.value, int) and f.value & 0xFFFFFFFF for f in tensor.of(14)), (
        "data in another file"
    )
    count = 1
    for field in tensor.of(1):
        if isinstance(field.value, int):
            assert field.value < 1 << 63, "a size below zero"
            count *= field.value
    assert count <= 8 * len(write(tensor)), f"{count} values in {len(write(tensor))} bytes"


def _free(data: bytes) -> None:
    """The sizes of a detector become free, and nothing else changes."""
    try:
        free = free_dimensions(data)
    except ValueError as error:
        _tell(error)
        return
    assert len(free) == len(data)
    changed = sum(old != new for old, new in zip(data, free, strict=True))
    with suppress(ValueError):  # it looks only at the messages that it needs
        sizes = sum(len(message.of(1)) for message in walk(parse(data)) if message.kind == "Dim")
        assert changed <= sizes, f"{changed} bytes changed, {sizes} sizes"


def _join(data: bytes) -> None:
    """Heads are joined or left alone; what is written is a graph that the reader reads."""
    try:
        whole = joined(data, [{"classes": 1, "boxes": 4}])
    except ValueError as error:
        _tell(error)
        return
    if whole is not None:
        assert len(parse(whole, lenient=True).of(7)) == 1, "not one graph"


def seeds() -> Iterator[bytes]:
    yield tiny.MODEL
    yield write(recurrent())
    yield write(detector())
    yield write(heads())


TARGET = Target("graph", run, seeds, onnx_edits.mutate, onnx_edits.OPERATORS[:12], most_bytes=8192)
