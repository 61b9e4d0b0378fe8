"""Ranges of a step graph's tensors over real sequences, with states rolled forward, in fixed memory.

A histogram holds each tensor's distribution; its width doubles when a value does not fit. So percentiles
cost no second pass and no more memory than 2,048 numbers per tensor.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.bundle import StateTensor
from edge.errors import EdgeError, require
from edge.system import strict_json
from edge.system.checked_file import FileRefused, read_checked
from edge.system.ort_session import onnxruntime, session_options
from edge.system.output_file import write_output

BINS = 2048  # half of them below zero
SCHEMA, FORMAT = "emotion-edge-ranges/1", 1
_HINT = "pip install 'emotion-edge[export]'"
_MOST_BYTES = 10_000_000
_AGAIN = "make it with emotion-calibrate ranges"
Float32 = npt.NDArray[np.float32]


@dataclass
class Histogram:
    """Counts of a tensor's values between -width and +width; width doubles as needed."""

    width: float = 1e-3
    low: float = np.inf
    high: float = -np.inf
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, values: Float32) -> None:
        """Count ``values``; EdgeError where one is not finite, because no range would hold it."""
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise EdgeError("a tensor holds values that are not finite; the network cannot be quantized")
        self.low, self.high = min(self.low, low), max(self.high, high)
        while max(-low, high) > self.width:
            self._double()
        self.counts += np.histogram(values, BINS, (-self.width, self.width))[0]

    def _double(self) -> None:
        """Twice the width: two bins become one, in the middle half."""
        pairs = self.counts.reshape(-1, 2).sum(axis=1)
        self.counts[:] = 0
        self.counts[BINS // 4 : BINS // 4 + BINS // 2] = pairs
        self.width *= 2

    def quantile(self, share: float) -> float:
        """Value under which ``share`` of all lie, to the width of a bin, within what was seen."""
        edges = np.linspace(-self.width, self.width, BINS + 1)
        below = np.concatenate([[0], np.cumsum(self.counts)]) / max(int(self.counts.sum()), 1)
        return float(np.clip(np.interp(share, below, edges), self.low, self.high))


def observe(model: Any, state: Sequence[StateTensor], sequences: Iterable[Float32]) -> dict[str, Histogram]:
    """Histogram of each float tensor of the ONNX ``model`` over normalized faces (T,C,S,S) per sequence.

    States start at zero with each sequence and are rolled forward, as in a stream.
    """
    names = _float_tensors(model)
    outputs = list(dict.fromkeys([*names, *(tensor.output for tensor in state)]))
    session = _session_with(model, outputs)
    seen = {name: Histogram() for name in (*names, "face", *(tensor.input for tensor in state))}
    for faces in sequences:
        now = {tensor.input: np.zeros((1, *tensor.shape), np.float32) for tensor in state}
        for face in faces:
            feeds = {"face": face[None], **now}
            values = dict(zip(outputs, session.run(outputs, feeds), strict=True))
            for name, value in {**{name: values[name] for name in names}, **feeds}.items():
                seen[name].add(value)
            now = {tensor.input: values[tensor.output] for tensor in state}
    return seen


def _float_tensors(model: Any) -> list[str]:
    """Outputs of nodes that are float32, in order."""
    onnx = require("onnx", _HINT)
    inferred = onnx.shape_inference.infer_shapes(model).graph
    kinds = {v.name: v.type.tensor_type.elem_type for v in (*inferred.value_info, *inferred.output)}
    outputs = [name for node in model.graph.node for name in node.output]
    return [name for name in outputs if kinds.get(name) == onnx.TensorProto.FLOAT]


def _session_with(model: Any, names: list[str]) -> Any:
    onnx, ort = require("onnx", _HINT), onnxruntime()
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    known = {value.name for value in whole.graph.output}
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    return ort.InferenceSession(
        whole.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
    )


def summarize(seen: Mapping[str, Histogram], method: str) -> dict[str, list[float]]:
    """``[low, high]`` per tensor: ``minmax``, or ``percentile-99.99`` which cuts that share on each side."""
    if method == "minmax":
        return {name: [h.low, h.high] for name, h in seen.items()}
    try:
        share = float(method.removeprefix("percentile-")) / 100
    except ValueError:
        share = 0.0
    if not 0.5 < share < 1:
        raise EdgeError(f"unknown method {method!r}; use minmax, or percentile-P with P from 50 to 100")
    return {name: [h.quantile(1 - share), h.quantile(share)] for name, h in seen.items()}


def write(
    path: Path, ranges: Mapping[str, list[float]], about: Mapping[str, Any], force: bool = False
) -> None:
    """Write ranges.json; ``about`` says method, hash of data and model, and how many steps."""
    document = {"schema": SCHEMA, "format": FORMAT, **about, "tensors": dict(ranges)}
    write_output(path, json.dumps(document, indent=1).encode() + b"\n", force)


def read(path: Path) -> dict[str, Any]:
    """Read ranges.json; EdgeError where it is not one, or a range is not finite or upside down."""
    try:
        document = strict_json.loads(read_checked(path, _MOST_BYTES, follow=True))
        if not isinstance(document, dict) or "tensors" not in document:
            raise EdgeError(f"{path} is not a ranges file: it has no tensors; {_AGAIN}")
        tensors = document["tensors"]
        bad = [
            n for n, (low, high) in tensors.items() if not (np.isfinite([low, high]).all() and low <= high)
        ]
    except FileRefused as error:
        raise EdgeError(f"{path} {error}; {_AGAIN}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EdgeError(f"{path} is not a ranges file ({error}); {_AGAIN}") from error
    if document.get("format") != FORMAT:
        raise EdgeError(f"{path} has format {document.get('format')!r}, expected {FORMAT}; {_AGAIN}")
    if bad:
        raise EdgeError(f"{path}: the range of {bad[0]!r} is {tensors[bad[0]]}; {_AGAIN}")
    return document
