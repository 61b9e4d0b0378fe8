"""A graph is checked before any parser sees it: what no step needs is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from edge import bundle as bundles
from edge.config import EngineConfig
from edge.engines import graph_check, graph_file
from edge.engines.backends import BACKENDS
from edge.engines.graph_check import check_graph
from edge.errors import BundleError

MODELS = [*bundles.REFERENCE.glob("*.onnx")]


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.name)
def test_the_reference_passes(model: Path) -> None:
    check_graph(model.read_bytes())


@given(st.data())
def test_damaged_files_are_refused_in_one_line_or_read(data) -> None:
    model = bytearray(tiny.MODEL)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(model) - 1))
        model[at] = data.draw(st.integers(0, 255))
    size = data.draw(st.integers(0, len(model)))
    assert refusal(bytes(model[:size])).isprintable()


@given(st.binary(max_size=100))
def test_other_bytes_are_no_network(data: bytes) -> None:
    assert refusal(data)


def refusal(model: bytes) -> str:
    """Why a file is refused; "" if it is not."""
    try:
        check_graph(model)
    except ValueError as error:
        return str(error)
    return ""


def test_an_error_names_file_and_fix_before_anything_parses_the_file(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "b", tiny.MODEL + b"\xca\x01\x00")  # one function, which is empty
    for part in BACKENDS[:2]:
        with pytest.raises(
            BundleError, match=r"model\.fp32\.onnx is no usable .*it contains functions .*; export"
        ):
            part.load(EngineConfig(), bundles.load(folder), "fp32", 1)


def message(number: int, content: bytes) -> bytes:
    """One field that holds a message or bytes, of at most 2 MB."""
    size = len(content)
    return (
        bytes([number << 3 & 0x7F | 0x82, number >> 4, size & 0x7F | 0x80])
        + bytes([size >> 7 & 0x7F | 0x80, size >> 14])
        + content
    )


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (b"", "0 graphs"),
        (tiny.MODEL * 2, "2 graphs"),
        (tiny.MODEL + b"\x38\x12", "2 graphs"),  # a number in the place of a graph
        (b"\x3a", "varint"),
        (tiny.MODEL[:-1], "ends at byte"),
        # The type of data_location is an int32: a parser takes 2^32 + 1 for 1, which is another file.
        (message(7, message(5, b"\x70\x81\x80\x80\x80\x10")), "in another file"),
        (message(7, message(5, message(13, b""))), "in another file"),
        (message(7, message(15, b"")), "sparse"),
        (message(7, message(1, message(5, message(6, b"")))), "graph of its own"),
        (message(7, message(1, message(5, message(11, b"")))), "graph of its own"),
        (message(7, message(1, message(5, message(22, b"")))), "sparse"),
        (message(7, message(1, message(5, message(5, b"\x08\x00") * 2))), "two tensors"),
        (message(7, message(1, message(5, message(10, message(13, b""))))), "in another file"),
        (message(7, message(5, b"\x08\x00" * 65)), "shape"),
        (message(7, message(5, b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")), "shape"),
        (message(7, message(5, b"\x08\xff\xff\xff\xff\x0f" * 3)), "values, but only 18 bytes"),
        (message(7, message(1, message(4, b"Relu")) * 3000)[:9000], "ends at byte"),
    ],
)
def test_files_that_parsers_may_read_in_different_ways(model: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        check_graph(model)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("part", [message(7, b""), b"\x08\x01", message(14, b"")])
def test_a_file_of_many_fields_ends_soon(monkeypatch, part: bytes) -> None:
    monkeypatch.setattr(graph_file, "MOST_FIELDS", 1000)
    with pytest.raises(ValueError, match="more than 1,000 fields"):
        check_graph(part * 1001)


def test_many_nodes_are_refused(monkeypatch) -> None:
    monkeypatch.setattr(graph_check, "MOST_NODES", 3)
    with pytest.raises(ValueError, match="4 nodes, at most 3"):
        check_graph(message(7, message(1, message(4, b"Relu")) * 4))
