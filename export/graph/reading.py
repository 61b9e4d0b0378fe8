"""An ONNX file as its user exported it, checked, and brought to our opset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, compose, numpy_helper, version_converter
from onnx.reference import ReferenceEvaluator

from edge.errors import EdgeError, reason
from export.graph.keras_loop import loops_to_gru
from export.graph.nodes import label

OPSET, IR_VERSION = 18, 10  # what is written, so that JetPack 6 (ONNX Runtime for Python 3.10) can load it
PREFIX = "window/"
NEWEST_OPSET = 21  # what the ONNX Runtime of JetPack 6 is known to load
_WEIGHED = ("BatchNormalization", "Conv", "ConvTranspose", "GRU", "Gemm", "LSTM", "MatMul", "RNN")


def read(path: Path) -> ModelProto:
    try:
        model = onnx.load(str(path), load_external_data=False)
        for tensor in model.graph.initializer:
            _check_location(path, tensor)
        onnx.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
    except FileNotFoundError as error:
        raise EdgeError(
            f"no file {error.filename or path}; pass --onnx the path of the whole export"
        ) from error
    except EdgeError:
        raise
    except Exception as error:  # protobuf's and the checker's errors have no common base
        fault = "it is empty" if path.is_file() and not path.stat().st_size else reason(error)
        raise EdgeError(f"{path} is not a usable ONNX file ({fault}); export it again") from error
    if (version := _version(model)) > NEWEST_OPSET:
        raise EdgeError(
            f"{path}: opset {version} is newer than the boards' runtimes ({NEWEST_OPSET}); "
            f"export with opset {OPSET}"
        )
    model = loops_to_gru(model)
    double = {t.name for t in model.graph.initializer if t.data_type == TensorProto.DOUBLE}
    for node in model.graph.node:
        if node.op_type in _WEIGHED and double & set(node.input):
            raise EdgeError(
                f"{label(node)} has weights in float64; export net.float(), which runs everywhere"
            )
        if node.domain not in ("", "ai.onnx"):
            raise EdgeError(f"{label(node)} is of the domain {node.domain!r}; export with standard operators")
    model.ir_version = IR_VERSION
    return model


def check_no_branches(model: ModelProto) -> None:
    for node in model.graph.node:
        if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
            raise EdgeError(f"{label(node)} holds a graph of its own; export without loops and branches")


def _check_location(path: Path, tensor: TensorProto) -> None:
    for entry in tensor.external_data:
        if entry.key != "location":
            continue
        inside = (path.parent / entry.value).resolve()
        if not inside.is_relative_to(path.parent.resolve()):
            raise EdgeError(
                f"{path}: weights of {tensor.name!r} lie outside its folder ({entry.value}); refused: "
                "export with the weights inside or beside the file"
            )


def _version(model: ModelProto) -> int:
    return next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)


def at_our_opset(path: Path, model: ModelProto) -> ModelProto:
    if _version(model) < OPSET:
        model = version_converter.convert_version(model, OPSET)
        model.ir_version = IR_VERSION
    # Tensors of the window and of the step must not meet: both may have a "face" or "logits".
    model = compose.add_prefix(model, PREFIX, rename_nodes=False)
    weights = {name for node in model.graph.node if node.op_type in _WEIGHED for name in node.input}
    for tensor in model.graph.initializer:
        if tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE):
            value = numpy_helper.to_array(tensor)
            # An infinity that nothing is multiplied with is the mask of an attention.
            bad = ~np.isfinite(value) if tensor.name in weights else np.isnan(value)
            if bad.any():
                raise EdgeError(
                    f"{path}: weight {tensor.name!r} holds {int(bad.sum())} values that are not finite; "
                    "export a checkpoint from before training diverged"
                )
    return model


def fold(model: ModelProto) -> ModelProto:
    """Turn every node whose inputs are all constant into a constant."""
    graph = model.graph
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    wanted = {value.name for value in graph.output}
    remaining = []
    for node in graph.node:
        if wanted & set(node.output) or not all(name in known for name in node.input if name):
            remaining.append(node)
            continue
        results = ReferenceEvaluator(node).run(None, {name: known[name] for name in node.input if name})
        for name, value in zip(node.output, results, strict=False):
            known[name] = np.asarray(value)
            graph.initializer.append(numpy_helper.from_array(known[name], name))
    del graph.node[:]
    graph.node.extend(remaining)
    return model
