"""How much of the processor's INT8 peak a bundle reaches: ``python -m benchmarks.gemm [BUNDLE]``.

The peak is the best that ONNX Runtime reaches on one thread with one large u8 x s8 product. Products and
steps take turns in one run, because frequencies and neighbours change by the minute.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edge import bundle as bundles
from edge.bundle import Bundle
from edge.command import finish
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError, require

SIZES = (256, 512, 1024)  # of square matrices; the best one counts
ROUNDS, SECONDS = 5, 0.3


def product(size: int) -> Any:
    """A session that multiplies two ``size`` x ``size`` matrices, u8 activations by s8 weights."""
    onnx = require("onnx", "pip install 'emotion-edge[export]'")
    ort = require("onnxruntime", "pip install 'emotion-edge[cpu]'")
    helper, kinds, array = onnx.helper, onnx.TensorProto, onnx.numpy_helper.from_array
    weights = np.random.default_rng(0).integers(-127, 128, (size, size)).astype(np.int8)
    constants = {
        "w": weights, "scale": np.float32(0.02), "zero": np.uint8(128), "w_zero": np.int8(0),
        "out_scale": np.float32(4.0),
    }  # fmt: skip
    node = helper.make_node(
        "QLinearMatMul", ["x", "scale", "zero", "w", "scale", "w_zero", "out_scale", "zero"], ["y"]
    )
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("x", kinds.UINT8, [size, size])],
        [helper.make_tensor_value_info("y", kinds.UINT8, [size, size])],
        [array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def step_feeds(bundle: Bundle, faces: int) -> dict[str, Any]:
    """Random faces and zero states for one step of ``faces`` rows."""
    spec, rng = bundle.manifest["input"], np.random.default_rng(0)
    shape = (faces, spec["channels"], spec["size"], spec["size"])
    state = {t.input: np.zeros((faces, *t.shape), np.float32) for t in bundle.state}
    return {"face": rng.standard_normal(shape).astype(np.float32), **state}


def rates(bundle: Bundle) -> dict[str, float]:
    """GMAC/s on one thread: "peak", and each precision that serves here with 1 and 8 faces a step."""
    macs = bundle.manifest.get("evaluation", {}).get("macs")
    if macs is None:
        raise EdgeError(f"{bundle.folder} does not say how many multiply-accumulates a step has")
    x = {size: np.full((size, size), 7, np.uint8) for size in SIZES}
    peaks = {f"product {size}": (product(size), {"x": x[size]}, size**3) for size in SIZES}
    work: dict[str, tuple[Any, dict[str, Any], float]] = {
        name: (lambda feeds, session=session: session.run(None, feeds), feeds, cost)
        for name, (session, feeds, cost) in peaks.items()
    }
    for precision in ("fp32", "int8-cpu"):
        if precision in bundle.precisions:
            engine = OrtEngine(bundle.model(precision), threads=1)
            for faces in (1, 8):
                work[f"{precision}, {faces} at once"] = (engine.run, step_feeds(bundle, faces), faces * macs)
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, (run, feeds, _) in work.items():
            taken[name].append(_median_s(run, feeds))
    found = {name: cost / float(np.median(taken[name])) / 1e9 for name, (_, _, cost) in work.items()}
    peak = max(found.pop(f"product {size}") for size in SIZES)
    return {"peak": peak, **found}


def _median_s(run: Any, feeds: dict[str, Any]) -> float:
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times) < 3:
        started = time.perf_counter()
        run(feeds)
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def main() -> int:
    """Print one line per precision."""

    def work() -> None:
        bundle = bundles.load(Path(sys.argv[1]) if len(sys.argv) > 1 else bundles.REFERENCE)
        found = rates(bundle)
        for name, rate in found.items():
            print(f"{name:22} {rate:7.0f} GMAC/s  {rate / found['peak']:5.0%} of the u8 peak")

    return finish("gemm", work, "nothing was written")


if __name__ == "__main__":
    sys.exit(main())
