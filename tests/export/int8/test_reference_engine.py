"""A float16 QuantizeLinear rounds to the nearest, whatever release of ONNX Runtime is at hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.export
onnx = pytest.importorskip("onnx")

HALVES = st.floats(-100, 100, width=16)


@given(st.lists(HALVES, min_size=1, max_size=50), st.floats(0.0625, 1, width=16))
def test_halves_are_rounded_to_the_nearest(values: list[float], scale: float) -> None:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    from export.int8.reference_engine import quantized_from_float32

    x, step = np.array(values, np.float16), np.array(scale, np.float16)
    node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])
    back = helper.make_node("DequantizeLinear", ["y", "s", "z"], ["again"])
    graph = helper.make_graph(
        [node, back],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT16, [len(x)])],
        [
            helper.make_tensor_value_info("y", TensorProto.INT8, [len(x)]),
            helper.make_tensor_value_info("again", TensorProto.FLOAT16, [len(x)]),
        ],
        [numpy_helper.from_array(step, "s"), numpy_helper.from_array(np.array(0, np.int8), "z")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    rounded = quantized_from_float32(model)
    onnx.checker.check_model(rounded, full_check=True)
    session = onnxruntime.InferenceSession(rounded.SerializeToString(), providers=["CPUExecutionProvider"])
    y, again = session.run(None, {"x": x})
    expected = np.clip(np.rint(x.astype(np.float32) / step.astype(np.float32)), -128, 127)
    np.testing.assert_array_equal(y, expected.astype(np.int8))
    assert again.dtype == np.float16, "what is read back keeps its type"
    assert model.graph.node[0].input[0] == "x", "the model itself is left as it was"
