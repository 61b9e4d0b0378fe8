"""ONNX Runtime sessions of models in memory."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from onnx import ModelProto, ValueInfoProto

from edge.errors import EdgeError, reason
from edge.system.ort_session import onnxruntime, session_options


def session(model: ModelProto, outputs: Collection[str] = (), threads: int = 1) -> Any:
    """A session with the model's outputs, or with the tensors ``outputs``; EdgeError if it is refused."""
    if outputs:
        copy = ModelProto()
        copy.CopyFrom(model)
        del copy.graph.output[:]
        copy.graph.output.extend(ValueInfoProto(name=name) for name in outputs)
        model = copy
    ort, options = onnxruntime(), session_options(threads, spin=False)
    try:
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has one class per status and no common base
        raise EdgeError(f"ONNX Runtime refuses the graph: {reason(error)}") from error
