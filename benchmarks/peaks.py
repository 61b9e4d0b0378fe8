"""What this machine could do at best, measured: products of large matrices, and copies of large arrays.

The product's peak is the best that ONNX Runtime, which also runs the network, reaches with one large matrix
product in the element types of the network. A step cannot be faster than its multiply-accumulates at that
rate, nor than its weights can be read (Williams, Waterman, Patterson: Roofline, CACM 52 (2009)).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edge.errors import require

SIZES = (256, 512, 1024)  # of square matrices; the best one counts
COPIED_BYTES = 64 << 20  # more than caches hold


def products(quantized: bool, threads: int) -> dict[int, Callable[[], object]]:
    """By size: multiply two square matrices, u8 activations by s8 weights or float32."""
    return {size: _product(size, quantized, threads) for size in SIZES}


def copy() -> Callable[[], object]:
    """Copy COPIED_BYTES, which are read once and written once."""
    source = np.ones(COPIED_BYTES, np.uint8)
    target = np.empty_like(source)
    return lambda: np.copyto(target, source)


def _product(size: int, quantized: bool, threads: int) -> Callable[[], object]:
    ort = require("onnxruntime", "pip install 'emotion-edge[cpu]'")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    model = _quantized_model(size) if quantized else _float_model(size)
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    x = np.full((size, size), 7, np.uint8 if quantized else np.float32)
    return lambda: session.run(None, {"x": x})


def _quantized_model(size: int) -> bytes:
    constants = {
        "w": _weights(size), "scale": np.float32(0.02), "zero": np.uint8(128), "w_zero": np.int8(0),
        "out_scale": np.float32(4.0),
    }  # fmt: skip
    inputs = ["x", "scale", "zero", "w", "scale", "w_zero", "out_scale", "zero"]
    return _model(size, "QLinearMatMul", inputs, constants, "UINT8")


def _float_model(size: int) -> bytes:
    return _model(size, "MatMul", ["x", "w"], {"w": _weights(size).astype(np.float32)}, "FLOAT")


def _weights(size: int) -> Any:
    return np.random.default_rng(0).integers(-127, 128, (size, size)).astype(np.int8)


def _model(size: int, operator: str, inputs: list[str], constants: dict[str, Any], kind: str) -> bytes:
    onnx = require("onnx", "pip install onnx")
    helper, element = onnx.helper, getattr(onnx.TensorProto, kind)
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, ["y"])],
        "product",
        [helper.make_tensor_value_info("x", element, [size, size])],
        [helper.make_tensor_value_info("y", element, [size, size])],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return made.SerializeToString()
