"""How the network's time divides into its CNN and its recurrent part, by ONNX Runtime's profiler.

The engine runs one graph, so timing it from outside cannot tell. A second session of the same file with the
same options records the time of each kernel. The optimized graph tells which part a kernel belongs to.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.errors import require
from edge.system.cache import writable_cache
from edge.system.ort_session import onnxruntime, session_options
from edge.system.pair_safe import is_pair_safe

WARM_UP, RUNS = 20, 200
_PRODUCTS = ("Gemm", "MatMul")


def recurrent_share(model: Path, threads: int, feeds: Mapping[str, Any], state: set[str]) -> float | None:
    """Share 0..1 of the kernels' time in the nodes of ``recurrent``; DependencyError without onnx."""
    ort, onnx = onnxruntime(), require("onnx", "pip install onnx")
    with tempfile.TemporaryDirectory(dir=writable_cache("tmp")) as folder:
        options = session_options(threads, pair_safe=is_pair_safe(model.read_bytes()))
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "profile")
        session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        for _ in range(WARM_UP + RUNS):
            session.run(None, dict(feeds))
        events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
        names = recurrent(onnx.load(options.optimized_model_filepath).graph, state)
    spent = [(e["name"].removesuffix("_kernel_time"), e["dur"]) for e in events if e.get("cat") == "Node"]
    spent = spent[len(spent) * WARM_UP // (WARM_UP + RUNS) :]  # each run has equally many
    total = sum(took for _, took in spent)
    return sum(took for name, took in spent if name in names) / total if total else None


def recurrent(graph: Any, state: set[str]) -> set[str]:
    """Names of the nodes that depend on a state, or on the first matrix product after the CNN."""
    feeds_conv: set[str] = set()  # tensors that a convolution depends on, and names of such nodes
    for node in reversed(graph.node):
        if "Conv" in node.op_type or feeds_conv & set(node.output):
            feeds_conv |= {*node.input, node.name}
    late, names = set(state), set()
    for node in graph.node:
        head = node.name not in feeds_conv and any(kind in node.op_type for kind in _PRODUCTS)
        if head or late & set(node.input):
            late |= set(node.output)
            names.add(node.name)
    return names
