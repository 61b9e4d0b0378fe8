"""ONNX Runtime, the engine that is available on every machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge.data import TensorSpec
from edge.errors import BundleError, DependencyError, EdgeError
from edge.system.closing import Closing
from edge.system.ort_session import onnxruntime, session_options

PROCESSOR = "CPUExecutionProvider"
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16"}


class OrtEngine(Closing):
    """One ONNX step graph. ``threads`` 0 leaves the number to ONNX Runtime (all cores).

    ``provider`` "CUDAExecutionProvider" runs it on the GPU if ONNX Runtime was built for that. ``optimize``
    False runs the graph node by node as written, which is slow, but shows what a file for another runtime
    computes.
    """

    def __init__(
        self, model: Path, threads: int = 1, optimize: bool = True, provider: str = PROCESSOR
    ) -> None:
        ort, options = onnxruntime(), session_options(threads)
        if not optimize:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        if provider not in ort.get_available_providers():
            raise DependencyError(f"this ONNX Runtime has no {provider}; for a GPU, install onnxruntime-gpu")
        providers = [PROCESSOR] if provider == PROCESSOR else [provider, PROCESSOR]
        try:
            self._session = ort.InferenceSession(str(model), options, providers=providers)
        except Exception as error:  # ONNX Runtime has one class per status and no common base
            reason = str(error).splitlines()[0]
            raise BundleError(
                f"{model} is no usable ONNX file ({reason}); export the bundle again"
            ) from error
        # If CUDA does not start, ONNX Runtime silently falls back to the processor.
        if self._session.get_providers()[0] != provider:
            raise EdgeError(f"{provider} does not start on this machine; check the versions it requires")
        self.threads = threads
        self.serves = f"{model.stem.removeprefix('model.')} on ONNX Runtime"
        self.inputs: Mapping[str, TensorSpec] = _specs(self._session.get_inputs())
        self.outputs: Mapping[str, TensorSpec] = _specs(self._session.get_outputs())

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Run one batch: input name -> (N,...) array or N rows; output name -> new (N,...) array."""
        arrays = {
            name: value if isinstance(value, np.ndarray) else np.stack([np.asarray(row) for row in value])
            for name, value in feeds.items()
        }
        return dict(zip(self.outputs, self._session.run(None, arrays), strict=True))


def _specs(nodes: Any) -> dict[str, TensorSpec]:
    return {
        node.name: TensorSpec(
            node.name,
            _DTYPES.get(node.type, node.type),
            tuple(d if isinstance(d, int) else None for d in node.shape),
        )
        for node in nodes
    }
