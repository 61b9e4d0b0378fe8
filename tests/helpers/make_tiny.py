"""Writes tiny_model.b64 beside this file; run it once where onnx is installed."""

import base64
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def make() -> onnx.ModelProto:
    """The graph that tests/helpers/tiny.py describes."""
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("ReduceMean", ["face", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "last"], ["column"]),
        helper.make_node("Add", ["state_h", "column"], ["new_state_h"]),
        helper.make_node("MatMul", ["new_state_h", "weights"], ["logits"]),
    ]
    weights = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    constants = [
        numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes"),
        numpy_helper.from_array(np.array([1], np.int64), "last"),
        numpy_helper.from_array(weights, "weights"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [value("face", TensorProto.FLOAT, ["N", 1, 8, 8]), value("state_h", TensorProto.FLOAT, ["N", 2])],
        [value("logits", TensorProto.FLOAT, ["N", 3]), value("new_state_h", TensorProto.FLOAT, ["N", 2])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    text = base64.encodebytes(make().SerializeToString()).decode()
    Path(__file__).with_name("tiny_model.b64").write_text(text)
