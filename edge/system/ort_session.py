"""ONNX Runtime, imported on demand, and the default options of every session."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

from edge.errors import require

HINT = "pip install 'emotion-edge[cpu]'"
CUDA = "CUDAExecutionProvider"


def onnxruntime() -> ModuleType:
    """The module; DependencyError if it is not installed."""
    return require("onnxruntime", HINT)


def session_options(threads: int = 1, spin: bool = True, pair_safe: bool = False) -> Any:
    """SessionOptions for ``threads`` threads within one operator; 0 uses all cores.

    Threads ``spin`` while they wait for the next run, which takes a core from whatever computes meanwhile.
    With ``pair_safe`` weights no sum of x86's fast INT8 kernel saturates.
    """
    options = onnxruntime().SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Other sums of u8 x s8 products saturate on x86 before VNNI, so a slower kernel has to take them.
    options.add_session_config_entry("session.x64quantprecision", "0" if pair_safe else "1")
    # Otherwise bytes that begin like a file of its own format would be read as that, unseen by our checks.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    if not spin:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Errors are raised, too. Its own lines would hold names from the file as they are, with line breaks.
    options.log_severity_level = 4
    return options


def all_cores() -> int:
    """Processors that this process may use; ONNX Runtime's own count ignores such limits."""
    return len(os.sched_getaffinity(0))


def cuda_provider() -> bool:
    """Whether this ONNX Runtime was built for NVIDIA GPUs."""
    return CUDA in onnxruntime().get_available_providers()
