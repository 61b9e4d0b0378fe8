"""Random networks over windows, made of ONNX nodes alone, so that their tests need no training framework."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

SIZE, CLASSES = 8, 3


@dataclass(frozen=True)
class Recipe:
    """One random network."""

    kind: str = "GRU"  # or LSTM
    hidden: tuple[int, ...] = (5,)  # of each layer
    steps: int = 4
    head: str = "last"  # last, h_n, mean, max, attention, every
    time_first: bool = False
    bias: bool = True
    reset_after: bool = True  # linear_before_reset
    initial: bool = False  # a constant initial state that is not zero
    softmax: bool = False
    seed: int = 0
    channels: int = 1


def build(recipe: Recipe) -> ModelProto:
    """Window (B,T,C,8,8) or (T,B,C,8,8) -> logits (B,3), or (B,T,3) for the head "every"."""
    made = _Maker(recipe)
    return made.model()


class _Maker:
    def __init__(self, recipe: Recipe) -> None:
        self.r, self.rng = recipe, np.random.default_rng(recipe.seed)
        self.nodes: list = []
        self.weights: list = []

    def const(self, value: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def ints(self, *values: int) -> str:
        return self.const(np.array(values, np.int64))

    def random(self, *shape: int) -> str:
        return self.const(self.rng.uniform(-0.7, 0.7, shape).astype(np.float32))

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes) -> list[str]:
        names = [f"t{len(self.nodes)}_{at}" for at in range(outputs)]
        self.nodes.append(
            helper.make_node(kind, list(inputs), names, name=f"n{len(self.nodes)}", **attributes)
        )
        return names

    def model(self) -> ModelProto:
        r = self.r
        shape = [r.steps, "B"] if r.time_first else ["B", r.steps]
        (x,) = self.op("Reshape", "face", self.ints(-1, r.channels, SIZE, SIZE))
        (x,) = self.op("Conv", x, self.random(4, r.channels, 3, 3), strides=[2, 2])
        (x,) = self.op("Relu", x)
        (x,) = self.op("GlobalAveragePool", x)
        whole = (r.steps, -1, 4) if r.time_first else (-1, r.steps, 4)
        (x,) = self.op("Reshape", x, self.ints(*whole))
        if not r.time_first:
            (x,) = self.op("Transpose", x, perm=[1, 0, 2])
        width = 4
        for hidden in r.hidden:
            x, last = self.layer(x, width, hidden)
            width = hidden
        (logits,) = self.op("MatMul", self.head(x, last, width), self.random(width, CLASSES))
        if r.softmax:
            (logits,) = self.op("Softmax", logits, axis=-1)
        inputs = [helper.make_tensor_value_info("face", TensorProto.FLOAT, [*shape, r.channels, SIZE, SIZE])]
        outputs = [
            helper.make_tensor_value_info(
                logits, TensorProto.FLOAT, ["B"] + ["T"] * (r.head == "every") + [CLASSES]
            )
        ]
        graph = helper.make_graph(self.nodes, "window", inputs, outputs, self.weights)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        made.ir_version = 9
        return made

    def layer(self, x: str, width: int, hidden: int) -> tuple[str, str]:
        """Sequence (T,B,H) and last hidden state (B,H) of one recurrent layer."""
        gates = {"GRU": 3, "LSTM": 4}[self.r.kind] * hidden
        bias = self.random(1, 2 * gates) if self.r.bias else ""
        inputs = [x, self.random(1, gates, width), self.random(1, gates, hidden), bias]
        if self.r.initial:
            (shape,) = self.op("Shape", x)
            (rows,) = self.op("Gather", shape, self.ints(1))
            (shape,) = self.op("Concat", self.ints(1), rows, self.ints(hidden), axis=0)
            starts = [self.op("Expand", self.random(hidden), shape)[0] for _ in "hc"]
            inputs += ["", *(starts if self.r.kind == "LSTM" else starts[:1])]
        extra = {"linear_before_reset": int(self.r.reset_after)} if self.r.kind == "GRU" else {}
        y, last = self.op(self.r.kind, *inputs, outputs=2, hidden_size=hidden, **extra)
        return self.op("Squeeze", y, self.ints(1))[0], self.op("Squeeze", last, self.ints(0))[0]

    def head(self, x: str, last: str, width: int) -> str:
        (rows,) = self.op("Transpose", x, perm=[1, 0, 2])  # (B,T,H)
        kind = self.r.head
        if kind == "last":
            return self.op("Gather", rows, self.const(np.array(-1)), axis=1)[0]
        if kind == "h_n":
            return last
        if kind in ("mean", "max"):
            op = "ReduceMean" if kind == "mean" else "ReduceMax"
            return self.op(op, rows, self.ints(1), keepdims=0)[0]
        if kind == "attention":
            (score,) = self.op("MatMul", rows, self.random(width, 1))
            (share,) = self.op("Softmax", score, axis=1)
            (weighted,) = self.op("Mul", share, rows)
            return self.op("ReduceSum", weighted, self.ints(1), keepdims=0)[0]
        return rows
