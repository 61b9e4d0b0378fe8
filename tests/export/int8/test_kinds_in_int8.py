"""Every kind of network that streams, in both INT8 dialects, and before NVIDIA's own parser."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.export, pytest.mark.filterwarnings("ignore")]  # of the older exporter
onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")

import kinds  # noqa: E402
import networks  # noqa: E402
from nvidia_judge import parse  # noqa: E402

from calibration import ranges as tables  # noqa: E402
from edge.engines.ort import OrtEngine  # noqa: E402
from export.graph import window  # noqa: E402
from export.graph.rewrite import rewrite  # noqa: E402
from export.int8 import qdq  # noqa: E402
from export.int8.lint import lint  # noqa: E402
from export.parity import proof  # noqa: E402

STREAMING = [
    (field, name)
    for field, names in kinds.KINDS.items()
    for name in names
    if not networks.Network(replace(kinds.PLAIN, **{field: name})).refusal()
]


def quantized(field: str, name: str, folder: Path):
    """Step, faces and ranges of one kind."""
    recipe = replace(kinds.PLAIN, **{field: name})
    path = networks.exported(networks.build(recipe), folder / "window.onnx")
    step = rewrite(window.load(path, None, recipe.axes.startswith("T")))
    faces = networks.faces(recipe, 8, 40, seed=3)
    table = tables.summarize(tables.observe(step.model, step.state, list(faces)), "minmax")
    return step, faces, table


@pytest.mark.parametrize(("field", "name"), STREAMING)
def test_both_dialects_keep_the_answers(field: str, name: str, tmp_path: Path) -> None:
    """And NVIDIA's parser builds the one for TensorRT, where it is installed."""
    step, faces, table = quantized(field, name, tmp_path)
    rolled = {}
    for dialect in ("float", *qdq.DIALECTS):
        made = step.model if dialect == "float" else qdq.quantize(step.model, table, dialect)
        assert dialect == "float" or lint(made, dialect) == []
        onnx.save(made, str(tmp_path / f"{dialect}.onnx"))
        rolled[dialect] = proof.roll(OrtEngine(tmp_path / f"{dialect}.onnx"), step.state, faces)
    for dialect in qdq.DIALECTS:
        far = np.abs(rolled[dialect] - rolled["float"]).max() / np.ptp(rolled["float"])
        assert far < 0.1, "networks of six random channels; a fault of the graph is far larger"
    if find_spec("tensorrt_rtx") is not None:
        accepted, size, complaint = parse(tmp_path / "trt.onnx")
        assert accepted, complaint
        assert size > 0, "no plan"
