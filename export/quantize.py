"""First INT8 for processors: convolutions in u8 x s8, the recurrent tail in float.

The convolutional part carries nearly all the work, and float recurrence keeps the state from drifting.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from edge.errors import EdgeError

_BATCH = 16


class _Crops(CalibrationDataReader):  # type: ignore[misc]
    """Normalised faces (M,C,S,S) in batches, with zero states: only convolutions are calibrated."""

    def __init__(self, faces: npt.NDArray[np.float32], state: dict[str, tuple[int, ...]]) -> None:
        self._batches: Iterator[dict[str, Any]] = iter(
            {
                "face": faces[at : at + _BATCH],
                **{name: np.zeros((_BATCH, *shape), np.float32) for name, shape in state.items()},
            }
            for at in range(0, len(faces) - _BATCH + 1, _BATCH)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


def quantize_cpu(
    fp32: Path,
    int8: Path,
    faces: npt.NDArray[np.float32],
    state: dict[str, tuple[int, ...]],
    input_step: float | None = None,
) -> int:
    """Write ``int8`` from ``fp32`` with ranges from ``faces``; returns the number of quantized Convs.

    ``input_step`` is the grid to which the network itself rounds its input: with that scale the first
    convolution loses nothing. Raises EdgeError where a convolution stayed in float or where its sum is
    rounded before the ReLU (half of the 256 steps go to values that the ReLU drops), because nobody
    would notice either.
    """
    prepared = int8.with_suffix(".prepared")
    quant_pre_process(str(fp32), str(prepared), skip_symbolic_shape=True)
    graph = onnx.load(str(prepared)).graph
    tail = {node.name for node in graph.node} - _convolutional(graph)
    first = next(node for node in graph.node if node.op_type == "Conv")
    grid = (
        {"scale": np.array(input_step, np.float32), "zero_point": np.array(128, np.uint8)}
        if input_step
        else None
    )
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # the quantizer logs advice for its own developers on the root logger
    try:
        quantize_static(
            str(prepared),
            str(int8),
            _Crops(faces, state),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Add", "Relu", "Clip"],
            nodes_to_exclude=sorted(tail),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"TensorQuantOverrides": {first.input[0]: [grid]}} if grid else {},
        )
    finally:
        root.setLevel(level)
        prepared.unlink(missing_ok=True)
    return _audit(int8)


def _convolutional(graph: Any) -> set[str]:
    """Names of the convolutions, of what feeds them, and of the ReLUs and sums that directly follow."""
    makers = {output: node for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    if not convolutions:
        raise EdgeError("the graph has no convolution, and only those are quantized here; keep it in float")
    found = {node.name for node in convolutions}
    waiting = [name for node in convolutions for name in node.input]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            waiting.extend(node.input)
    for node in graph.node:  # in topological order, so that chains are followed
        before = [makers[name].name for name in node.input if name in makers]
        if node.op_type in ("Relu", "Clip", "Add") and before and set(before) <= found:
            found.add(node.name)
    return found


def _audit(path: Path) -> int:
    graph = onnx.load(str(path)).graph
    from_dq = {out for node in graph.node if node.op_type == "DequantizeLinear" for out in node.output}
    convs = [node for node in graph.node if node.op_type == "Conv"]
    left = [node.name for node in convs if not set(node.input[:2]) <= from_dq]
    if left:
        raise EdgeError(
            f"{path}: {len(left)} of {len(convs)} convolutions stayed in float: {', '.join(left)}"
        )
    early = [n.name for n in graph.node if n.op_type in ("Relu", "Clip") and set(n.input[:1]) & from_dq]
    if early:
        raise EdgeError(f"{path}: rounded before instead of after the ReLU: {', '.join(early)}")
    return len(convs)
