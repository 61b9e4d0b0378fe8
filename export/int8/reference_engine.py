"""ONNX Runtime as the reference for every precision, even for those that it will never serve."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edge.bundle import Bundle
from edge.engines.ort import OrtEngine
from edge.protocols import Engine
from edge.system.cache import writable_cache


def reference_engine(path: Path, precision: str, threads: int = 2) -> OrtEngine:
    """The file of ``precision`` in ONNX Runtime.

    The one for TensorRT is computed node by node, as written: ONNX Runtime 1.31 fuses its float16
    roundings wrongly (cosine 0.95 instead of 0.9996). Releases up to 1.29 truncate where QuantizeLinear of
    float16 has to round (https://github.com/microsoft/onnxruntime/pull/32452); that of float32 rounds.
    """
    if precision != "int8-trt":
        return OrtEngine(path, threads)
    with TemporaryDirectory(dir=writable_cache("tmp")) as folder:
        rounded = Path(folder) / path.name
        onnx.save_model(quantized_from_float32(onnx.load(str(path))), str(rounded))
        return OrtEngine(rounded, threads, optimize=False)


def reference_engines(bundle: Bundle) -> dict[str, Engine]:
    """Every precision of the bundle through ONNX Runtime."""
    return {name: reference_engine(bundle.model(name), name) for name in bundle.precisions}


def quantized_from_float32(model: ModelProto) -> ModelProto:
    """A copy in which every QuantizeLinear of a float16 tensor sees it, and its scale, as float32."""
    copy = ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    halves = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT16}
    nodes, wide = list(graph.node), {}
    del graph.node[:]
    for node in nodes:
        if node.op_type == "QuantizeLinear" and node.input[1] in halves:
            scale = halves[node.input[1]]
            values = numpy_helper.to_array(scale).astype("float32")
            wide[scale.name] = numpy_helper.from_array(values, f"{scale.name}/float32")
            seen = f"{node.output[0]}/float32"
            graph.node.append(helper.make_node("Cast", [node.input[0]], [seen], to=TensorProto.FLOAT))
            node.input[0], node.input[1] = seen, wide[scale.name].name
        graph.node.append(node)
    graph.initializer.extend(wide.values())
    return copy
