"""A network of the size of EfficientNet-B0 with random weights: the backbone of many emotion recognizers.

Tan and Le, "EfficientNet", ICML 2019, table 1: 224x224 pixels, 0.39 G multiply-accumulates, 5.3 M parameters.
It is good for measuring speed only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.errors import require

SIZE, CLASSES = 224, 8
# Expansion, channels, repeats, stride, kernel of each stage.
_STAGES = (
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
)  # fmt: skip


def model() -> bytes:
    """The serialized ONNX model: "input" (1,3,224,224) to "logits" (1,8), float32."""
    onnx = require("onnx", "pip install onnx")
    graph = _Graph(onnx)
    x = graph.silu(graph.conv("input", 3, 32, 3, stride=2))
    channels = 32
    for expansion, wide, repeats, stride, kernel in _STAGES:
        for at in range(repeats):
            x = graph.block(x, channels, wide, expansion, stride if at == 0 else 1, kernel)
            channels = wide
    x = graph.silu(graph.conv(x, channels, 1280, 1))
    x = graph.add("GlobalAveragePool", [x])
    x = graph.add("Flatten", [graph.conv(x, 1280, CLASSES, 1)])
    return graph.finish(x)


class _Graph:
    """Nodes and random weights in the order in which they are added."""

    def __init__(self, onnx: Any) -> None:
        self._onnx, self._rng = onnx, np.random.default_rng(0)
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def add(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        name = f"{operator}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def conv(self, x: str, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> str:
        """Add a convolution with a bias; the weights preserve the scale of the activations."""
        fan = before // groups * kernel**2
        weight = self._rng.standard_normal((after, before // groups, kernel, kernel)) / np.sqrt(fan)
        names = [f"w{len(self._weights)}", f"b{len(self._weights)}"]
        for name, value in zip(names, (weight, np.zeros(after)), strict=True):
            self._weights.append(self._onnx.numpy_helper.from_array(value.astype(np.float32), name))
        pad = kernel // 2
        return self.add("Conv", [x, *names], strides=[stride] * 2, pads=[pad] * 4, group=groups)

    def silu(self, x: str) -> str:
        return self.add("Mul", [x, self.add("Sigmoid", [x])])

    def block(self, x: str, before: int, after: int, expansion: int, stride: int, kernel: int) -> str:
        """Add an inverted bottleneck with squeeze and excitation to a quarter of its input channels."""
        inner, squeezed = before * expansion, max(before // 4, 1)
        wide = self.silu(self.conv(x, before, inner, 1)) if expansion > 1 else x
        wide = self.silu(self.conv(wide, inner, inner, kernel, stride, groups=inner))
        mean = self.add("GlobalAveragePool", [wide])
        gate = self.conv(self.silu(self.conv(mean, inner, squeezed, 1)), squeezed, inner, 1)
        narrow = self.conv(self.add("Mul", [wide, self.add("Sigmoid", [gate])]), inner, after, 1)
        return self.add("Add", [x, narrow]) if stride == 1 and before == after else narrow

    def finish(self, output: str) -> bytes:
        """The serialized model."""
        helper, kind = self._onnx.helper, self._onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            [*self._nodes, helper.make_node("Identity", [output], ["logits"])],
            "efficientnet-b0-sized",
            [helper.make_tensor_value_info("input", kind, [1, 3, SIZE, SIZE])],
            [helper.make_tensor_value_info("logits", kind, [1, CLASSES])],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return model.SerializeToString()
