"""An x86 processor before VNNI, whose fast INT8 kernel saturates: this one, or one that QEMU plays.

As a program it prints the smallest cosine, over a few golden steps, of a network: ``plain`` in a session
without any option, as other programs open the file, or ``ours`` in the engine of this project.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SEQUENCES, STEPS = 8, 4
# Haswell has AVX2 and nothing newer. QEMU 7.2 is the first that plays AVX2.
_QEMU = ["qemu-x86_64", "-cpu", "Haswell"]
_PROBE = "import old_x86; print(old_x86.saturates())"


def saturates() -> bool:
    """Whether two products of 255 and 127 do not add up here in a plain session."""
    import onnxruntime

    return int(onnxruntime.InferenceSession(_product(), providers=["CPUExecutionProvider"]).run(
        ["y"], {"x": np.full((1, 8), 255, np.uint8)}
    )[0].max()) != 253  # fmt: skip


def _product() -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    constants = {
        "scale": np.float32(1), "zero": np.uint8(0), "w": np.full((8, 16), 127, np.int8),
        "w_zero": np.int8(0), "y_scale": np.float32(1024),
    }  # fmt: skip
    names = ["x", "scale", "zero", "w", "scale", "w_zero", "y_scale", "zero"]
    graph = helper.make_graph(
        [helper.make_node("QLinearMatMul", names, ["y"])], "product",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, [1, 16])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def python() -> list[str]:
    """A Python on such a processor; skips the test where there is none."""
    if saturates():
        return [sys.executable]
    if not shutil.which(_QEMU[0]):
        pytest.skip("no x86 processor without VNNI, and no QEMU to play one: apt install qemu-user")
    command = [*_QEMU, sys.executable]
    told = subprocess.run(
        [*command, "-c", _PROBE], capture_output=True, text=True, cwd=Path(__file__).parent, timeout=300
    )
    if told.stdout.strip() != "True":
        pytest.skip(f"{_QEMU[0]} plays no processor without VNNI: {told.stderr.strip()[-200:]}")
    return command


def cosines(models: dict[str, str]) -> dict[str, float]:
    """Name -> the smallest cosine of a file there; ``models`` maps "plain NAME" or "ours NAME" to a path."""
    told = subprocess.run(
        [*python(), __file__, json.dumps(models)], capture_output=True, text=True, check=True, timeout=900
    )
    return json.loads(told.stdout)


def _cosine(how: str, path: str) -> float:
    import onnxruntime

    from edge import bundle as bundles
    from edge.engines import golden
    from edge.engines.ort import OrtEngine

    reference = bundles.load(bundles.REFERENCE)
    with np.load(reference.folder / "golden.npz") as content:
        crops, expected = (content[key][:SEQUENCES, :STEPS] for key in ("crops", "logits"))
    engine = OrtEngine(Path(path))
    if how == "plain":
        engine._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return golden.compare(golden.roll(engine, reference, crops), expected).min_cosine


if __name__ == "__main__":
    print(json.dumps({k: _cosine(k.split()[0], path) for k, path in json.loads(sys.argv[1]).items()}))
