"""Quantize a step graph by ranges: two dialects of QuantizeLinear and DequantizeLinear.

``cpu`` is what ONNX Runtime's kernels for processors are fast on: unsigned activations, int32 bias, sums
rounded after the ReLU. ``trt`` is what TensorRT's parser takes: signed, symmetric, float bias, rounded
where a Conv or Gemm reads. Each refuses or crawls on the other's file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from edge.errors import EdgeError
from edge.system import pair_safe as mark
from export.graph.nodes import attribute
from export.int8 import pairs

DIALECTS = ("cpu", "trt")
ACTIVATIONS = ("Relu", "Clip")
Ranges = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Grid:
    """Scale and zero point of one tensor."""

    scale: float
    zero: npt.NDArray[Any]  # 0-d, uint8 or int8


def grid_of(span: Sequence[float], dialect: str) -> Grid:
    """Grid for values in ``span`` = (low, high).

    Unsigned with zero at 0 where nothing is negative, else with zero in the middle (128). So a symmetric
    tensor has the same steps in both dialects.
    """
    low, high = span
    if dialect == "cpu" and low >= 0:
        return Grid(max(high, 1e-6) / 255, np.array(0, np.uint8))
    scale = max(-low, high, 1e-6) / 127
    return Grid(scale, np.array(128, np.uint8) if dialect == "cpu" else np.array(0, np.int8))


def quantize(
    model: ModelProto,
    ranges: Ranges,
    dialect: str,
    recurrent: bool = False,
    keep_float: Collection[str] = (),
    pair_safe: bool = True,
) -> ModelProto:
    """``model`` with its convolutions in INT8, and its Gemms where ``recurrent`` says so.

    ``keep_float`` names nodes that stay in float. Of the dialect cpu, ``pair_safe`` weights are a little
    coarser, but exact in the fast kernel of old x86 processors; the file says so. Raises EdgeError where a
    range is missing.
    """
    if dialect not in DIALECTS:
        raise EdgeError(f"unknown dialect {dialect!r}; choose one of {', '.join(DIALECTS)}")
    quantized = ModelProto()
    quantized.CopyFrom(model)
    kinds = ("Conv", "Gemm") if recurrent else ("Conv",)
    weights = {tensor.name for tensor in quantized.graph.initializer}
    chosen = [
        node
        for node in quantized.graph.node
        if node.op_type in kinds and node.input[1] in weights and node.name not in keep_float
    ]
    if not chosen:
        raise EdgeError("the graph has no layer to quantize: no convolution with constant weights")
    pair_safe = pair_safe and dialect == "cpu"
    nodes = _Writer(quantized, ranges, dialect, pair_safe).write(chosen)
    del quantized.graph.node[:]
    quantized.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    constants = [tensor for tensor in quantized.graph.initializer if tensor.name in used]
    del quantized.graph.initializer[:]
    quantized.graph.initializer.extend(constants)
    if pair_safe:
        quantized.metadata_props.add(key=mark.KEY, value=mark.VALUE)
    onnx.checker.check_model(quantized, full_check=True)
    return quantized


def _nearest(weight: npt.NDArray[Any], axis: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Steps rounded to the nearest, and the scale of each output channel: its largest weight is 127."""
    others = tuple(at for at in range(weight.ndim) if at != axis)
    scale = np.maximum(np.abs(weight).max(axis=others), 1e-8).astype(np.float32) / np.float32(127)
    return np.rint(weight / np.expand_dims(scale, others)).clip(-127, 127).astype(np.int8), scale


class _Writer:
    """Writes the nodes of a graph again, with Q/DQ pairs between them; adds constants to ``model``."""

    def __init__(self, model: ModelProto, ranges: Ranges, dialect: str, pair_safe: bool) -> None:
        self._graph, self._ranges, self._dialect = model.graph, ranges, dialect
        self._weights_of = pairs.quantize if pair_safe else _nearest
        self._values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self._nodes: list[NodeProto] = []
        self._twins: dict[str, str] = {}  # tensor -> the same, rounded

    def write(self, chosen: list[NodeProto]) -> list[NodeProto]:
        """All nodes in order, those of ``chosen`` in INT8."""
        names = {node.output[0] for node in chosen}
        # A processor's kernel rounds the sum once, after its ReLU; a signed one rounds when it reads.
        late = [node for node in chosen if self._dialect == "cpu" and node.op_type == "Conv"]
        ends = {self._end(node) for node in late}
        for node in list(self._graph.node):
            if node.output[0] in names:
                self._layer(node)
            else:
                self._copy(node, names)
            if node.output[0] in ends:
                self._rounded(node.output[0])
        return self._nodes

    def _end(self, node: NodeProto) -> str:
        """What the layer gives after the ReLU that alone reads it."""
        readers = [n for n in self._graph.node if node.output[0] in n.input]
        folds = len(readers) == 1 and readers[0].op_type in ACTIVATIONS
        return readers[0].output[0] if folds else node.output[0]

    def _copy(self, node: NodeProto, chosen: set[str]) -> None:
        copy = NodeProto()
        copy.CopyFrom(node)
        if self._dialect == "cpu":  # read the rounded twin, so that no float copy has to be kept
            copy.input[:] = [self._twins.get(name, name) for name in node.input]
        elif node.op_type == "Add" and sum(name in chosen for name in node.input) == 1:
            skip = 0 if node.input[1] in chosen else 1
            if node.input[skip] in self._ranges and node.input[skip] not in self._values:
                copy.input[skip] = self._rounded(node.input[skip])
        self._nodes.append(copy)

    def _layer(self, node: NodeProto) -> None:
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.input[0] = self._rounded(node.input[0])
        weight = self._values[node.input[1]]
        axis = 0 if node.op_type == "Conv" or attribute(node, "transB", 0) else weight.ndim - 1
        steps, scale = self._weights_of(weight, axis)
        copy.input[1] = self._constant_twin(f"{node.output[0]}/weight", steps, scale, axis)
        if len(node.input) > 2 and self._dialect == "cpu":
            step = (scale * grid_of(self._ranges[node.input[0]], "cpu").scale).astype(np.float32)
            whole = np.rint(self._values[node.input[2]] / step).clip(-(2**31), 2**31 - 1).astype(np.int32)
            copy.input[2] = self._constant_twin(f"{node.output[0]}/bias", whole, step, 0)
        self._nodes.append(copy)

    def _rounded(self, name: str) -> str:
        """Twin of ``name`` behind a QuantizeLinear and a DequantizeLinear; one per tensor."""
        if name not in self._twins:
            if name not in self._ranges:
                raise EdgeError(f"the ranges lack tensor {name!r}; measure them on this bundle")
            grid = grid_of(self._ranges[name], self._dialect)
            constants = self._constants(name, np.array(grid.scale, np.float32), grid.zero)
            self._pair("QuantizeLinear", [name, *constants], f"{name}/q")
            self._twins[name] = self._pair("DequantizeLinear", [f"{name}/q", *constants], f"{name}/dq")
        return self._twins[name]

    def _constant_twin(
        self, name: str, steps: npt.NDArray[Any], scale: npt.NDArray[np.float32], axis: int
    ) -> str:
        constants = self._constants(name, steps, scale, np.zeros(len(scale), steps.dtype))
        return self._pair("DequantizeLinear", constants, f"{name}/dq", axis=axis)

    def _pair(self, op: str, inputs: Iterable[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def _constants(self, name: str, *values: npt.NDArray[Any]) -> list[str]:
        names = [f"{name}/constant{at}" for at in range(len(values))]
        for each, value in zip(names, values, strict=True):
            self._graph.initializer.append(numpy_helper.from_array(value, each))
        return names
