"""Every kind of network that streams, in both INT8 dialects, and before NVIDIA's own parser."""

from __future__ import annotations

from dataclasses import replace
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
    """Recipe, step and ranges of one kind."""
    recipe = replace(kinds.PLAIN, **{field: name})
    path = networks.exported(networks.build(recipe), folder / "window.onnx")
    step = rewrite(window.load(path, None, recipe.axes.startswith("T")))
    faces = networks.faces(recipe, 8, 40, seed=3)
    table = tables.summarize(tables.observe(step.model, step.state, list(faces)), "minmax")
    return step, faces, table


@pytest.mark.parametrize("dialect", qdq.DIALECTS)
@pytest.mark.parametrize(("field", "name"), STREAMING)
def test_a_dialect_keeps_the_answers(field: str, name: str, dialect: str, tmp_path: Path) -> None:
    step, faces, table = quantized(field, name, tmp_path)
    made = qdq.quantize(step.model, table, dialect)
    assert lint(made, dialect) == []
    rolled = []
    for graph in (step.model, made):
        onnx.save(graph, str(tmp_path / "model.onnx"))
        rolled.append(proof.roll(OrtEngine(tmp_path / "model.onnx"), step.state, faces))
    expected, found = rolled
    far = np.abs(found - expected).max() / np.ptp(expected)
    assert far < 0.1, "networks of six random channels; a fault of the graph is far larger"


@pytest.mark.parametrize(("field", "name"), STREAMING)
def test_nvidias_parser_builds_it(field: str, name: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="no TensorRT-RTX; make judge installs it")
    step, _, table = quantized(field, name, tmp_path)
    onnx.save(qdq.quantize(step.model, table, "trt"), str(tmp_path / "trt.onnx"))
    accepted, size, complaint = parse(tmp_path / "trt.onnx")
    assert accepted, complaint
    assert size > 0, "no plan"
