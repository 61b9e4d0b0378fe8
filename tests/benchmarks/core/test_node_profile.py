"""Which nodes of a graph are recurrent, and their share of the time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from benchmarks.core import harness, node_profile
from edge import bundle as bundles


def test_recurrent_nodes_are_those_of_the_state_and_what_follows_the_cnn() -> None:
    graph = SimpleNamespace(node=[
        _node("gates", "MatMul", ["h"], ["gh"]),  # may run before the CNN, and is no part of it
        _node("squeeze", "Gemm", ["face"], ["s"]),  # a product inside the CNN
        _node("conv", "FusedConv", ["face", "s"], ["a"]),
        _node("pool", "ReduceMean", ["a"], ["b"]),
        _node("project", "Gemm", ["b"], ["x"]),
        _node("sum", "Add", ["x", "gh"], ["new_h"]),
        _node("head", "Gemm", ["new_h"], ["logits"]),
    ])  # fmt: skip
    assert node_profile.recurrent(graph, {"h"}) == {"gates", "project", "sum", "head"}


def test_the_reference_network_spends_most_of_its_time_in_its_cnn() -> None:
    pytest.importorskip("onnx")
    bundle = bundles.load(bundles.REFERENCE)
    feeds = harness.step_feeds(bundle, 1)
    for precision in ("fp32", "int8-cpu"):
        share = node_profile.recurrent_share(
            bundle.model(precision), 1, feeds, {t.input for t in bundle.state}
        )
        # Its GRU and head hold 3 % of the multiplications; each node costs some microseconds besides.
        assert share is not None
        assert 0.005 < share < 0.4


def _node(name: str, kind: str, inputs: list[str], outputs: list[str]) -> SimpleNamespace:
    return SimpleNamespace(name=name, op_type=kind, input=inputs, output=outputs)
