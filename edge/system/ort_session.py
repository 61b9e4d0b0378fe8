"""ONNX Runtime, imported on demand, and the default options of every session."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from edge.errors import require

HINT = "pip install 'emotion-edge[cpu]'"
CUDA = "CUDAExecutionProvider"


def onnxruntime() -> ModuleType:
    """The module; DependencyError if it is not installed."""
    return require("onnxruntime", HINT)


def session_options(threads: int = 1) -> Any:
    """SessionOptions for ``threads`` threads within one operator; 0 uses all cores."""
    options = onnxruntime().SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Without it, sums of u8 x s8 products saturate on x86 before VNNI, and results are wrong.
    options.add_session_config_entry("session.x64quantprecision", "1")
    # Otherwise bytes that begin like a file of its own format would be read as that, unseen by our checks.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # Errors are raised, too. Its own lines would hold names from the file as they are, with line breaks.
    options.log_severity_level = 4
    return options


def cuda_provider() -> bool:
    """Whether this ONNX Runtime was built for NVIDIA GPUs."""
    return CUDA in onnxruntime().get_available_providers()
