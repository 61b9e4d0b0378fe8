"""Graphs of real operators: which of them a step may contain, and what a child makes of the others."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from edge import bundle as bundles
from edge.config import LimitsConfig
from edge.engines import graph_check
from edge.engines.admission import admit
from edge.engines.graph_check import check_graph
from edge.engines.ort import PROCESSOR
from edge.errors import BundleError
from edge.system.ort_session import onnxruntime, session_options

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

pytestmark = pytest.mark.export
node, value = helper.make_node, helper.make_tensor_value_info
FLOAT = TensorProto.FLOAT


def constant(name: str, content: Any, kind: Any = np.int64) -> Any:
    return numpy_helper.from_array(np.array(content, kind), name)


def graph(
    *nodes: Any,
    constants: tuple = (),
    batch: Any = "N",
    face: int = FLOAT,
    opset: int = 18,
    inputs: tuple = (),
    outputs: tuple = (),
) -> Any:
    """logits = state_h @ weights + x, where ``nodes`` make x from face and state_h."""
    weights = constant("weights", np.arange(6).reshape(2, 3), np.float32)
    before = [] if nodes else [node("ReduceSum", ["state_h"], ["x"])]
    made = helper.make_graph(
        [
            *before,
            *nodes,
            node("MatMul", ["state_h", "weights"], ["product"]),
            node("Add", ["product", "x"], ["logits"]),
            node("Identity", ["state_h"], ["new_state_h"]),
        ],
        "g",
        [value("face", face, [batch, 1, 8, 8]), value("state_h", FLOAT, [batch, 2]), *inputs],
        [value("logits", FLOAT, [batch, 3]), value("new_state_h", FLOAT, [batch, 2]), *outputs],
        [weights, *constants],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def body(*nodes: Any, inputs: tuple = (), outputs: tuple = ()) -> Any:
    return helper.make_graph(list(nodes), "body", list(inputs), list(outputs))


def summed(*nodes: Any, constants: tuple = (), **more: Any) -> Any:
    """A graph in which ``nodes`` make "big", whose sum is x."""
    return graph(*nodes, node("ReduceSum", ["big"], ["x"], keepdims=0), constants=constants, **more)


def external(tensor: Any, where: str = "weights.bin") -> Any:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in (("location", where), ("offset", "0"), ("length", "24")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, text
    return tensor


def sparse() -> Any:
    made = graph()
    made.graph.sparse_initializer.add().values.CopyFrom(external(constant("s", [1, 2], np.float32)))
    return made


def function() -> Any:
    made = graph(node("Mine", ["state_h"], ["x"], domain="mine"))
    made.opset_import.append(helper.make_opsetid("mine", 1))
    opsets = [helper.make_opsetid("", 18)]
    made.functions.append(
        helper.make_function("mine", "Mine", ["a"], ["b"], [node("Relu", ["a"], ["b"])], opsets)
    )
    return made


def of_domain(domain: str, operator: str) -> Any:
    made = graph(node(operator, ["state_h"], ["x"], domain=domain))
    made.opset_import.append(helper.make_opsetid(domain, 1))
    return made


def trained() -> Any:
    made = graph()
    made.training_info.add()
    return made


def branch() -> Any:
    out = value("o", FLOAT, None)
    then, other = (body(node("Identity", ["state_h"], ["o"]), outputs=(out,)) for _ in range(2))
    inner = node("If", ["yes"], ["o"], then_branch=then, else_branch=other)
    nested = body(inner, outputs=(out,))
    return graph(
        node("If", ["yes"], ["big"], then_branch=nested, else_branch=other),
        node("ReduceSum", ["big"], ["x"]),
        constants=(constant("yes", True, bool),),
    )


def loop() -> Any:
    turn, going, on = (
        value("i", TensorProto.INT64, []),
        value("c", TensorProto.BOOL, []),
        value("co", TensorProto.BOOL, []),
    )
    inner = body(node("Identity", ["c"], ["co"]), inputs=(turn, going), outputs=(on,))
    return graph(
        node("Loop", ["many", "yes"], [], body=inner),
        node("ReduceSum", ["state_h"], ["x"]),
        constants=(constant("many", 2**62), constant("yes", True, bool)),
    )


def attribute_elsewhere() -> Any:
    held = node("Constant", [], ["x"], value=external(constant("", [1, 2, 3], np.float32)))
    return graph(held)


def sized(operator: str, *sizes: str, more: tuple = (), **attributes: Any) -> Any:
    """``operator``, whose sizes are counted from the face's pixels; ``more`` are its other outputs."""
    counted = [
        node("ReduceSum", ["face"], ["sum"], keepdims=0),
        node("Cast", ["sum"], ["number"], to=TensorProto.INT64),
        node("Unsqueeze", ["number", "zero"], ["size"]),
        node(operator, [*sizes], ["made", *more], **attributes),
        node("Cast", ["made"], ["big"], to=FLOAT),
    ]
    constants = (
        constant("zero", [0]),
        constant("none", 0),
        constant("one", 1),
        constant("pair", [0, 1], np.float32),
        constant("row", [1.0], np.float32),
    )
    return summed(*counted, constants=constants)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "external weights": (
        lambda: graph(constants=(external(constant("w", [1, 2], np.float32)),)),
        "the data of tensor 'w' are in another file",
    ),
    "external in an attribute": (attribute_elsewhere, "'Constant' node 'x' are in another file"),
    "sparse": (sparse, "sparse tensors"),
    "function": (function, "functions"),
    "training": (trained, "training"),
    "If in If": (branch, "'If' node 'big' contains a graph of its own"),
    "Loop": (loop, "'Loop' node .* contains a graph"),
    "ai.onnx.ml": (lambda: of_domain("ai.onnx.ml", "Normalizer"), "domain 'ai.onnx.ml'"),
    "com.microsoft": (lambda: of_domain("com.microsoft", "EPContext"), "domain 'com.microsoft'"),
    "custom": (lambda: of_domain("evil", "Run"), "'Run' node 'x' is of the domain 'evil'"),
    "circle": (
        lambda: graph(node("Add", ["state_h", "b"], ["a"]), node("Add", ["a", "a"], ["b"])),
        "reads 'b', which no node before it makes",
    ),
    "twice the same name": (
        lambda: graph(node("Relu", ["state_h"], ["x"]), node("Relu", ["state_h"], ["x"])),
        "makes 'x', which is there already",
    ),
    "6 GB": (
        lambda: summed(node("ConstantOfShape", ["s"], ["big"]), constants=(constant("s", [40000, 40000]),)),
        "'ConstantOfShape' node 'big' makes 1,600,000,000 values",
    ),
    "Range": (
        lambda: summed(
            node("Range", ["a", "b", "c"], ["r"]),
            node("Cast", ["r"], ["big"], to=FLOAT),
            constants=(constant("a", 0), constant("b", 10**12), constant("c", 1)),
        ),
        "'Range' node 'r' makes 1,000,000,000,000 values",
    ),
    "Pad": (
        lambda: summed(node("Pad", ["face", "p"], ["big"]), constants=(constant("p", [0] * 7 + [10**9]),)),
        "'Pad' node 'big' makes",
    ),
    "Tile": (
        lambda: summed(node("Tile", ["face", "p"], ["big"]), constants=(constant("p", [1, 1, 9999, 9999]),)),
        "'Tile' node 'big' makes",
    ),
    "shape from a Constant": (
        lambda: summed(
            node("Constant", [], ["s"], value_ints=[99999, 99999]), node("ConstantOfShape", ["s"], ["big"])
        ),
        "makes 9,999,800,001 values",
    ),
    "computed shape": (lambda: sized("ConstantOfShape", "size"), "takes a size from the content of faces"),
    "computed Expand": (lambda: sized("Expand", "row", "size"), "takes a size"),
    "computed Tile": (lambda: sized("Tile", "row", "size"), "takes a size"),
    "computed Range": (lambda: sized("Range", "none", "number", "one"), "takes a size"),
    "computed OneHot": (lambda: sized("OneHot", "zero", "number", "pair"), "takes a size"),
    "rows or a column": (lambda: sized("Reshape", "pair", "size"), "takes a size"),
    "cut by content": (lambda: sized("Slice", "pair", "zero", "size"), "takes a size"),
    "split by content": (lambda: sized("Split", "pair", "size", more=("rest",)), "takes a size"),
    "as many as the face has": (lambda: sized("TopK", "pair", "size", more=("at",)), "takes a size"),
    "axis by content": (lambda: sized("Unsqueeze", "pair", "size"), "takes a size"),
    "axis of a sum by content": (lambda: sized("ReduceMax", "pair", "size"), "takes a size"),
    "chosen by content": (
        lambda: summed(node("Cast", ["face"], ["c"], to=9), node("Compress", ["face", "c"], ["big"])),
        "takes a size",
    ),
    "places of what is not zero": (
        lambda: summed(node("NonZero", ["face"], ["at"]), node("Cast", ["at"], ["big"], to=FLOAT)),
        "takes a size",
    ),
    "how many are different": (lambda: summed(node("Unique", ["face"], ["big"])), "takes a size"),
    "a size at random": (
        lambda: summed(
            node("RandomUniform", [], ["r"], shape=[1], high=9e5),
            node("Cast", ["r"], ["size"], to=TensorProto.INT64),
            node("ConstantOfShape", ["size"], ["big"]),
        ),
        "or at random",
    ),
    "declared, not there": (
        lambda: graph(constants=(TensorProto(name="w", data_type=1, dims=[1 << 40], raw_data=b"abcd"),)),
        "tensor 'w' has 1,099,511,627,776 values",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_step_needs_is_refused(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(ValueError, match=words) as caught:
        check_graph(make().SerializeToString())
    assert str(caught.value).isprintable()


def by_batch() -> Any:
    """Sizes that follow from the number of faces, and those that are small and written in the file."""
    return graph(
        node("Shape", ["face"], ["shape"]),
        node("Constant", [], ["first"], value_ints=[0]),
        node("Gather", ["shape", "first"], ["batch"]),
        node("Concat", ["batch", "three"], ["rows"], axis=0),
        node("ConstantOfShape", ["rows"], ["zeros"]),
        node("Expand", ["row", "rows"], ["ones"]),
        node("Pad", ["face", "pads"], ["padded"]),
        node("Resize", ["padded", "", "", "sizes"], ["small"]),
        node("Clip", ["small", "", "row"], ["cut"]),
        node("ReduceMean", ["cut", "axes"], ["mean"], keepdims=0),
        node("Unsqueeze", ["mean", "one"], ["column"]),
        node("Sum", ["zeros", "ones", "column"], ["x"]),
        constants=(
            constant("three", [3]),
            constant("one", [1]),
            constant("row", 1.0, np.float32),
            constant("pads", [0, 0, 2, 2, 0, 0, 2, 2]),
            constant("sizes", [8, 1, 4, 4]),
            constant("axes", [1, 2, 3]),
        ),
    )


def unfolded() -> Any:
    """ONNX's own domain by its name, and a custom one that no node uses."""
    made = graph(node("Relu", ["state_h"], ["r"], domain="ai.onnx"), node("ReduceSum", ["r"], ["x"]))
    made.opset_import.append(helper.make_opsetid("pkg.torch", 1))
    return made


@pytest.mark.parametrize("make", [graph, by_batch, unfolded])
def test_what_steps_are_made_of_passes(make: Callable[[], Any]) -> None:
    model = make().SerializeToString()
    check_graph(model)
    onnxruntime().InferenceSession(model, session_options(), providers=[PROCESSOR])


# Their whole numbers and truth values are positions, lengths or masks, and change no shape.
HARMLESS = frozenset((
    "And", "Attention", "CumProd", "CumSum", "Dropout", "Equal", "GRU", "Gather", "GatherElements",
    "GatherND", "LSTM", "NegativeLogLikelihoodLoss", "Not", "Or", "QLinearConv", "RNN", "ReverseSequence",
    "RoiAlign", "RotaryEmbedding", "Scatter", "ScatterElements", "ScatterND", "SoftmaxCrossEntropyLoss",
    "TensorScatter", "Trilu", "Where", "Xor",
))  # fmt: skip


def test_every_operator_that_takes_whole_numbers_has_been_judged() -> None:
    counts = {"tensor(int64)", "tensor(int32)", "tensor(bool)"}
    judged = HARMLESS | {*graph_check._SIZES, *graph_check._SHAPES, *graph_check._REFUSED}
    taking = {
        schema.name
        for schema in onnx.defs.get_all_schemas_with_history()
        if schema.domain == "" and any(set(part.types) <= counts for part in schema.inputs)
    }
    assert taking - judged == set(), "can their content change the shape of an output?"


def scaled(times: float) -> Any:
    """Infinite only for faces whose state is large."""
    return graph(
        node("ReduceMax", ["face"], ["top"], keepdims=0), node("Mul", ["top", "times"], ["x"]),
        constants=(constant("times", times, np.float32),),
    )  # fmt: skip


TRIED: dict[str, tuple[Callable[[], Any], str]] = {
    "NaN": (lambda: scaled(np.nan), "logits holds NaN or infinity"),
    "infinity for some faces": (lambda: scaled(3e38), "logits holds NaN or infinity"),
    "opset 99": (lambda: graph(opset=99), "no usable ONNX file"),
    "unknown type": (
        lambda: graph(constants=(TensorProto(name="w", data_type=99, dims=[1], raw_data=b"abcd"),)),
        "no usable ONNX file|type",
    ),
    "text": (lambda: graph(face=TensorProto.STRING), "input face is tensor.string"),
    "float64": (lambda: graph(face=TensorProto.DOUBLE), "input face is tensor.double"),
    "one face only": (lambda: graph(batch=1), r"input face is float32 \(1, 1, 8, 8\)"),
    "an input more": (
        lambda: graph(inputs=(value("y", FLOAT, ["N"]),)),
        r"input y is float32 \(N\) in the graph, but missing",
    ),
    "huge convolution": (
        lambda: summed(
            node("Conv", ["face", "k"], ["big"], pads=[30000] * 4),
            constants=(constant("k", np.ones((1, 1, 3, 3)), np.float32),),
        ),
        "fails in a step|memory",
    ),
    "huge Resize": (
        lambda: summed(
            node("Resize", ["face", "", "k"], ["big"]),
            constants=(constant("k", [1, 1, 4e3, 4e3], np.float32),),
        ),
        "fails in a step|memory",
    ),
    "doubled again and again": (
        lambda: summed(
            *(node("Concat", [f"c{at}", f"c{at}"], [f"c{at + 1}"], axis=1) for at in range(40)),
            node("Identity", ["c40"], ["big"]),
            constants=(constant("c0", np.ones((1, 64)), np.float32),),
        ),
        "no usable ONNX file|fails in a step|memory|signal",
    ),
    "as many rows as pixels": (
        lambda: graph(
            node("Reshape", ["face", "s"], ["p"]),
            node("ReduceMean", ["p", "one"], ["x"]),
            constants=(constant("s", [-1, 1]), constant("one", [1])),
        ),
        "logits has the shape .64, 3., expected .1, 3., for 1 faces",
    ),
    "wrong rank": (
        lambda: graph(node("Reshape", ["state_h", "s"], ["x"]), constants=(constant("s", [7, 7, 7]),)),
        "fails in a step|no usable",
    ),
    "an operator that does not exist": (lambda: graph(node("Frobnicate", ["state_h"], ["x"])), "no usable"),
    "no name": (lambda: graph(constants=(constant("", [1]), constant("y", [1]))), "no usable|passes"),
}  # fmt: skip


def outcome(bundle: bundles.Bundle) -> str:
    """What the child said of a bundle."""
    try:
        return "passes" if admit(bundle, "fp32").passed else "differs"
    except BundleError as error:
        return str(error)


@pytest.mark.parametrize("name", TRIED)
def test_what_only_onnx_runtime_can_judge_is_one_line_of_the_child(name: str, tmp_path: Path) -> None:
    make, words = TRIED[name]
    folder = tiny.write(tmp_path / "b", make().SerializeToString())
    bundle = replace(bundles.load(folder), limits=LimitsConfig(load_s=20))
    told = outcome(bundle)
    assert told == "passes" or "model.fp32.onnx" in told
    assert told.isprintable()
    assert re.search(words, told), told
