"""ONNX Runtime, the engine that is available on every machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge.data import TensorSpec
from edge.errors import BundleError, DependencyError, EdgeError, reason
from edge.system.closing import Closing
from edge.system.one_line import one_line
from edge.system.ort_session import onnxruntime, session_options
from edge.system.pair_safe import is_pair_safe

PROCESSOR = "CPUExecutionProvider"
_MOST_WORDS = 300  # characters of an error of ONNX Runtime
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16"}


class OrtEngine(Closing):
    """One ONNX step graph. ``threads`` 0 leaves the number to ONNX Runtime (all cores).

    ``content`` is the file at ``model`` where it has been read already: what was hashed is then what is
    parsed.
    ``provider`` "CUDAExecutionProvider" runs it on the GPU if ONNX Runtime was built for that. ``optimize``
    False runs the graph node by node as written, which is slow, but shows what a file for another runtime
    computes. ``spin`` False leaves the other cores alone between two runs.
    """

    def __init__(
        self,
        model: Path,
        threads: int = 1,
        optimize: bool = True,
        provider: str = PROCESSOR,
        content: bytes | None = None,
        spin: bool = True,
    ) -> None:
        ort = onnxruntime()
        if provider not in ort.get_available_providers():
            raise DependencyError(f"this ONNX Runtime has no {provider}; for a GPU, install onnxruntime-gpu")
        providers = [PROCESSOR] if provider == PROCESSOR else [provider, PROCESSOR]
        try:
            content = model.read_bytes() if content is None else content
            options = session_options(threads, spin, is_pair_safe(content))
            if not optimize:
                options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            self._session = ort.InferenceSession(content, options, providers=providers)
        except Exception as error:  # ONNX Runtime has one class per status and no common base
            raise BundleError(
                f"{model} is no usable ONNX file ({_short(error)}); export the bundle again"
            ) from error
        # If CUDA does not start, ONNX Runtime silently falls back to the processor.
        if self._session.get_providers()[0] != provider:
            raise EdgeError(f"{provider} does not start on this machine; check the versions it requires")
        self._model, self.threads = model, threads
        self.serves = f"{model.stem.removeprefix('model.')} on ONNX Runtime"
        self.inputs: Mapping[str, TensorSpec] = _specs(self._session.get_inputs())
        self.outputs: Mapping[str, TensorSpec] = _specs(self._session.get_outputs())

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Run one batch: input name -> (N,...) array or N rows; output name -> new (N,...) array.

        EdgeError names the file if ONNX Runtime fails.
        """
        arrays = {
            name: value if isinstance(value, np.ndarray) else np.stack([np.asarray(row) for row in value])
            for name, value in feeds.items()
        }
        try:
            return dict(zip(self.outputs, self._session.run(None, arrays), strict=True))
        except Exception as error:  # as above
            raise EdgeError(
                f"{self._model} fails in a step ({_short(error)}); export the bundle again"
            ) from error


def _short(error: Exception) -> str:
    """Its words in one line that still fits on a screen."""
    return one_line(reason(error)[:_MOST_WORDS])


def _specs(nodes: Any) -> dict[str, TensorSpec]:
    return {
        node.name: TensorSpec(
            node.name,
            _DTYPES.get(node.type, node.type),
            tuple(d if isinstance(d, int) else None for d in node.shape),
        )
        for node in nodes
    }
