"""GRU and LSTM operators of ONNX, written out as one step of plain matrix products.

Equations: ONNX operator specification, GRU-22 and LSTM-22. No runtime quantizes the operators
themselves, and TensorRT turns them into loops; the products below are ordinary Gemm nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edge.errors import EdgeError
from export import blame
from export.graph.nodes import attribute, label

Float32 = npt.NDArray[np.float32]


class Nodes:
    """Collects nodes and constants under one prefix; every call returns the name of its result."""

    def __init__(self, prefix: str) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._prefix = prefix

    def constant(self, value: npt.NDArray[Any]) -> str:
        name = f"{self._prefix}/c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Name of the result, or a list of names where ``outputs`` is more than one."""
        names = [f"{self._prefix}/{op}{len(self.nodes)}_{at}" for at in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def alias(self, source: str, name: str) -> None:
        """Give ``source`` the second name ``name``."""
        self.nodes.append(helper.make_node("Identity", [source], [name], name=f"{name}/alias"))


def weights(node: NodeProto, values: Mapping[str, npt.NDArray[Any]]) -> tuple[Float32, Float32, Float32]:
    """W (G*H,I), R (G*H,H) and B (2*G*H,) of a one-directional GRU or LSTM node."""
    w, r = values[node.input[1]][0], values[node.input[2]][0]
    given = len(node.input) > 3 and node.input[3]
    bias = values[node.input[3]][0] if given else np.zeros(2 * len(w), np.float32)
    return w.astype(np.float32), r.astype(np.float32), bias.astype(np.float32)


def check_supported(node: NodeProto) -> None:
    """EdgeError that names the node and the fix for what cannot stream or is not written out here."""
    direction = attribute(node, "direction", b"forward").decode()
    if direction != "forward":
        raise blame.bidirectional(direction).of(label(node))
    if attribute(node, "clip"):
        raise EdgeError(f"{label(node)} clips its cell; export it without the attribute 'clip'")
    if attribute(node, "input_forget", 0):
        raise EdgeError(f"{label(node)} couples input and forget gate; train it without input_forget")
    if len(node.input) > 7 and node.input[7]:
        raise EdgeError(f"{label(node)} has peephole weights; train it without peepholes")
    activations = [name.decode() for name in attribute(node, "activations", [])]
    usual = {"GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}[node.op_type]
    if activations and activations != usual:
        raise EdgeError(f"{label(node)} has activations {activations}, expected {usual}; train it with these")


def gru(out: Nodes, node: NodeProto, x: str, h: str, values: Mapping[str, npt.NDArray[Any]]) -> str:
    """New hidden state (N,H) of a GRU from x (N,I) and h (N,H); gates stand in the order z, r, h."""
    w, r, bias = weights(node, values)
    size = len(r[0])
    wb, rb = bias[: 3 * size], bias[3 * size :]
    from_x = _gemm(out, x, w, wb)
    if attribute(node, "linear_before_reset", 0):
        from_h = _gemm(out, h, r, rb)
        xz, xr, xn = _split(out, from_x, 3, size)
        hz, hr, hn = _split(out, from_h, 3, size)
        z = out.add("Sigmoid", out.add("Add", xz, hz))
        reset = out.add("Sigmoid", out.add("Add", xr, hr))
        candidate = out.add("Tanh", out.add("Add", xn, out.add("Mul", reset, hn)))
    else:
        from_h = _gemm(out, h, r[: 2 * size], rb[: 2 * size])
        xz, xr, xn = _split(out, from_x, 3, size)
        hz, hr = _split(out, from_h, 2, size)
        z = out.add("Sigmoid", out.add("Add", xz, hz))
        reset = out.add("Sigmoid", out.add("Add", xr, hr))
        hn = _gemm(out, out.add("Mul", reset, h), r[2 * size :], rb[2 * size :])
        candidate = out.add("Tanh", out.add("Add", xn, hn))
    # (1 - z) * n + z * h, with one product less
    return str(out.add("Add", candidate, out.add("Mul", z, out.add("Sub", h, candidate))))


def lstm(
    out: Nodes, node: NodeProto, x: str, h: str, c: str, values: Mapping[str, npt.NDArray[Any]]
) -> tuple[str, str]:
    """New hidden and cell state (N,H) of an LSTM; gates stand in the order i, o, f, c."""
    w, r, bias = weights(node, values)
    size = len(r[0])
    total = out.add("Add", _gemm(out, x, w, bias[: 4 * size]), _gemm(out, h, r, bias[4 * size :]))
    i, o, f, g = _split(out, total, 4, size)
    remembered = out.add("Mul", out.add("Sigmoid", f), c)
    cell = out.add("Add", remembered, out.add("Mul", out.add("Sigmoid", i), out.add("Tanh", g)))
    return out.add("Mul", out.add("Sigmoid", o), out.add("Tanh", cell)), cell


def _gemm(out: Nodes, x: str, matrix: Float32, bias: Float32) -> str:
    return str(out.add("Gemm", x, out.constant(matrix), out.constant(bias), transB=1))


def _split(out: Nodes, x: str, parts: int, size: int) -> list[str]:
    sizes = out.constant(np.full(parts, size, np.int64))
    return list(out.add("Split", x, sizes, outputs=parts, axis=1))
