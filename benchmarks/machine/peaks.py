"""The measured peaks of this machine: products of large matrices and copies of large arrays.

The peak of products is the best rate of ONNX Runtime on one large matrix product in the network's element
types. No step can beat its multiply-accumulates at that rate, nor the time to read its weights (Williams,
Waterman, Patterson: Roofline, CACM 52 (2009)).

"u8" uses the kernels that any network may use. Like ``edge.engines.ort``, it sets
session.x64quantprecision: x86 then multiplies through 16-bit products (pmaddwd), which cannot overflow.
"u8-saturating" leaves it unset: x86 then multiplies u8 by s8, which is faster. Before VNNI (pmaddubsw) sums
saturate there, so only a network with pair-safe weights may use it. On ARM both are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edge.errors import DependencyError, require
from edge.system.ort_session import onnxruntime

SIZES = (256, 512, 1024)  # of square matrices; the best one counts
COPIED_BYTES = 64 << 20  # larger than any cache


def work(kinds: set[tuple[str, int]]) -> dict[str, Callable[[], object]]:
    """One large copy, and the products of each ("u8" or "float32", threads); none without onnx."""
    calls: dict[str, Callable[[], object]] = {"peak copy": copy()}
    kinds = kinds | {("u8-saturating", threads) for kind, threads in kinds if kind.startswith("u8")}
    try:
        for kind, threads in sorted(kinds):
            for size in SIZES:
                calls[f"peak product {kind} {threads} {size}"] = product(size, kind, threads)
    except DependencyError:
        pass  # a board may have no onnx; the report says so
    return calls


def rates(medians_ms: dict[str, float]) -> dict[str, float]:
    """Bytes/s of "copy" and the best MAC/s of each "u8 1", "float32 2", ... from the medians of ``work``.

    Other names in ``medians_ms`` are ignored.
    """
    best = {"copy": 2 * COPIED_BYTES / (medians_ms["peak copy"] / 1e3)}
    for name, took_ms in medians_ms.items():
        if name.startswith("peak product "):
            kind, threads, size = name.split()[2:]
            rate = int(size) ** 3 / (took_ms / 1e3)
            best[f"{kind} {threads}"] = max(rate, best.get(f"{kind} {threads}", 0.0))
    return best


def copy() -> Callable[[], object]:
    """Copy COPIED_BYTES: each byte is read once and written once."""
    source = np.ones(COPIED_BYTES, np.uint8)
    target = np.empty_like(source)
    return lambda: np.copyto(target, source)


def product(size: int, kind: str, threads: int) -> Callable[[], object]:
    """Multiply two square matrices, u8 activations by 8-bit weights or float32.

    ``kind`` is "u8", "u8-saturating" or "float32".
    """
    ort = onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    if kind != "u8-saturating":
        options.add_session_config_entry("session.x64quantprecision", "1")
    model = _float_model(size) if kind == "float32" else _quantized_model(size)
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    x = np.full((size, size), 7, np.float32 if kind == "float32" else np.uint8)
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
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()
