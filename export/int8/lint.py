"""The rules of an INT8 file; a broken one names its node."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from edge.system.cache import writable_cache
from edge.system.ort_session import onnxruntime
from edge.system.pair_safe import KEY
from export.graph.nodes import attribute, label
from export.int8 import pairs
from export.int8.qdq import ACTIVATIONS, DIALECTS


def lint(model: ModelProto, dialect: str) -> list[str]:
    """Each broken rule of ``dialect`` in one line; empty where all hold.

    Both: every Conv reads an activation and weights behind DequantizeLinear, weights are int8 with zero
    point 0 and one scale per output channel. cpu: activations uint8, bias int32 with scale = product, no
    ReLU between two roundings; in a file marked pair-safe, no two weights that may saturate. trt: every
    integer int8 with zero point 0, bias float.
    """
    assert dialect in DIALECTS
    return list(_Rules(model, dialect).broken())


class _Rules:
    def __init__(self, model: ModelProto, dialect: str) -> None:
        self._nodes, self._dialect = list(model.graph.node), dialect
        self._pair_safe = dialect == "cpu" and any(p.key == KEY for p in model.metadata_props)
        self._values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self._kinds = {t.name: t.data_type for t in model.graph.initializer}
        self._makers = {name: node for node in self._nodes for name in node.output}

    def broken(self) -> Iterator[str]:
        layers = [
            n for n in self._nodes if n.op_type == "Conv" or (n.op_type == "Gemm" and self._behind(n, 1))
        ]
        if not layers:
            yield "no layer is quantized"
        for node in layers:
            yield from self._layer(node)
        for node in self._nodes:
            if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
                yield from self._zero_point(node)
            if self._dialect == "cpu" and node.op_type in ACTIVATIONS and self._behind(node, 0):
                yield f"{label(node)}: rounded before the ReLU, which wastes the steps below zero"

    def _behind(self, node: NodeProto, at: int) -> NodeProto | None:
        """The DequantizeLinear that makes input ``at``."""
        maker = self._makers.get(node.input[at]) if len(node.input) > at else None
        return maker if maker is not None and maker.op_type == "DequantizeLinear" else None

    def _layer(self, node: NodeProto) -> Iterator[str]:
        activation, weight, bias = (self._behind(node, at) for at in range(3))
        if activation is None:
            yield f"{label(node)}: its input is in float"
        if weight is None:
            yield f"{label(node)}: its weights are in float"
            return
        steps, scale = self._values[weight.input[0]], self._values[weight.input[1]]
        axis = 0 if node.op_type == "Conv" or attribute(node, "transB", 0) else steps.ndim - 1
        channels = steps.shape[axis]
        if steps.dtype != np.int8:
            yield f"{label(node)}: its weights are {steps.dtype}, expected int8"
        if scale.size != channels:
            yield f"{label(node)}: {scale.size} weight scales for {channels} output channels; one per channel"
        if self._pair_safe:
            yield from self._pairs(node, steps, axis)
        if len(node.input) < 3:
            return
        if self._dialect == "trt" and bias is not None:
            yield f"{label(node)}: its bias is an integer; TensorRT takes a float bias only"
        if self._dialect == "cpu" and activation is not None:
            yield from self._bias(node, bias, scale * self._values[activation.input[1]])

    def _pairs(self, node: NodeProto, steps: np.ndarray, axis: int) -> Iterator[str]:
        for pair in pairs.broken(steps, axis):
            yield (
                f"{label(node)}: channel {pair.channel}, pair {pair.at}-{pair.at + 1}: the weights "
                f"{pair.first} and {pair.second} exceed {pairs.LARGEST_PAIR} and saturate on old x86"
            )

    def _bias(self, node: NodeProto, bias: NodeProto | None, expected: np.ndarray) -> Iterator[str]:
        if bias is None or self._kinds.get(bias.input[0]) != TensorProto.INT32:
            yield f"{label(node)}: its bias is not int32; the kernel would run in float"
        elif not np.allclose(self._values[bias.input[1]], expected, rtol=1e-4):
            yield f"{label(node)}: the scale of its bias is not input scale times weight scale"

    def _zero_point(self, node: NodeProto) -> Iterator[str]:
        zero = self._values[node.input[2]] if len(node.input) > 2 else np.zeros(1, np.uint8)
        constant = node.input[0] in self._values
        if self._dialect == "trt" and (zero.dtype != np.int8 or zero.any()):
            yield f"{label(node)}: {zero.dtype} with zero point {int(zero.max())}; TensorRT takes int8 with 0"
        if self._dialect == "cpu" and not constant and zero.dtype != np.uint8:
            yield f"{label(node)}: {zero.dtype} activations; the fast kernels take uint8"


def fused_convolutions(path: Path) -> tuple[int, int]:
    """(QLinearConv, all convolutions) in the graph as ONNX Runtime optimizes it."""
    ort = onnxruntime()
    with tempfile.TemporaryDirectory(dir=writable_cache("tmp")) as folder:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        kinds = [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]
    whole = kinds.count("QLinearConv")
    return whole, whole + sum(kind in ("Conv", "FusedConv", "NhwcFusedConv") for kind in kinds)
