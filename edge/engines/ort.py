"""ONNX Runtime on the processor: the engine that every machine has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from edge.data import TensorSpec
from edge.errors import BundleError, DependencyError, EdgeError, require

PROCESSOR, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16"}


class OrtEngine:
    """One ONNX step graph. ``threads`` 0 leaves the number to ONNX Runtime (all cores).

    ``provider`` "CUDAExecutionProvider" runs it on the GPU where ONNX Runtime was built for that.
    ``optimize`` False computes the graph node by node as it is written: slow, and the way to judge a file
    that is meant for another runtime.
    """

    def __init__(
        self, model: Path, threads: int = 1, optimize: bool = True, provider: str = PROCESSOR
    ) -> None:
        ort, options = require("onnxruntime", "pip install 'emotion-edge[cpu]'"), session_options(threads)
        if not optimize:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        if provider not in ort.get_available_providers():
            raise DependencyError(f"this ONNX Runtime has no {provider}; on a GPU, install onnxruntime-gpu")
        providers = [PROCESSOR] if provider == PROCESSOR else [provider, PROCESSOR]
        try:
            self._session = ort.InferenceSession(str(model), options, providers=providers)
        except Exception as error:  # ONNX Runtime has a class per status and no common base
            reason = str(error).splitlines()[0]
            raise BundleError(
                f"{model} is no usable ONNX file ({reason}); export the bundle again"
            ) from error
        if (
            self._session.get_providers()[0] != provider
        ):  # it goes on without a word where CUDA does not start
            raise EdgeError(f"{provider} does not start on this machine; see the versions that it needs")
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

    def tick(self) -> None:
        """Nothing to do between two frames."""

    def __enter__(self) -> OrtEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass  # the session frees itself


def session_options(threads: int = 1) -> Any:
    """ONNX Runtime's options as every session here begins with them."""
    ort = require("onnxruntime", "pip install 'emotion-edge[cpu]'")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Without it, x86 before VNNI saturates sums of u8 x s8 products and answers nonsense.
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 3  # its warnings concern the exporter, not the user
    return options


def cuda_provider() -> bool:
    """Whether this ONNX Runtime was built for NVIDIA GPUs."""
    ort = require("onnxruntime", "pip install 'emotion-edge[cpu]'")
    return CUDA in ort.get_available_providers()


def _specs(nodes: Any) -> dict[str, TensorSpec]:
    return {
        node.name: TensorSpec(
            node.name,
            _DTYPES.get(node.type, node.type),
            tuple(d if isinstance(d, int) else None for d in node.shape),
        )
        for node in nodes
    }
