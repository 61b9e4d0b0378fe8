"""The ONNX Runtime engine."""

from pathlib import Path

import numpy as np
import pytest
import tiny
from contracts import check_engine

from edge import bundle
from edge.config import EngineConfig
from edge.engines.backends import BACKENDS
from edge.engines.ort import OrtEngine
from edge.errors import BundleError, EdgeError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny.write(tmp_path / "b") / "model.fp32.onnx"


def test_contract(model: Path) -> None:
    check_engine(OrtEngine(model))


def test_specs_and_values(model: Path) -> None:
    with OrtEngine(model) as engine:
        assert engine.inputs["face"].shape == (None, 1, 8, 8)
        assert engine.inputs["state_h"].dtype == "float32"
        face, state = np.full((1, 1, 8, 8), 0.5, np.float32), np.array([[1, 2]], np.float32)
        out = engine.run({"face": face, "state_h": state})
    np.testing.assert_allclose(out["logits"], [[1.5, 2.5, 0]])


@pytest.mark.parametrize("size", [0, 10, 200])
def test_a_truncated_file_is_one_line(model: Path, size: int) -> None:
    model.write_bytes(model.read_bytes()[:size])
    with pytest.raises(BundleError, match="no usable ONNX file") as caught:
        OrtEngine(model)
    assert "\n" not in str(caught.value)


def test_what_was_checked_as_onnx_is_read_as_onnx(tmp_path: Path) -> None:
    """A file that begins like one of ONNX Runtime's own format, and is an ONNX file with an unknown field."""
    folder = tiny.write(tmp_path / "b", b"\xfa\x01\x84\x00ORTM" + tiny.MODEL)
    with BACKENDS[0].load(EngineConfig(), bundle.load(folder), "fp32", 1) as engine:
        assert set(engine.outputs) == {"logits", "new_state_h"}


def test_a_step_that_fails_is_one_line(model: Path) -> None:
    with (
        OrtEngine(model) as engine,
        pytest.raises(EdgeError, match=r"model\.fp32\.onnx fails in a step") as told,
    ):
        engine.run({"face": np.zeros((1, 1, 8, 9), np.float32), "state_h": np.zeros((1, 2), np.float32)})
    assert str(told.value).isprintable()


@pytest.mark.export
def test_onnx_runtime_prints_no_names_from_the_file(tmp_path: Path, capfd) -> None:
    onnx = pytest.importorskip("onnx")
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    shape = onnx.numpy_helper.from_array(np.array([-1, 7]), "shape")
    name = "a\nemotion-edge: ERROR: forged\x1b]0;title\x07"
    graph = onnx.helper.make_graph(
        [node("Reshape", ["face", "shape"], ["logits"], name=name)], "g",
        [value("face", 1, ["N", 4])], [value("logits", 1, ["M", 7])], [shape],
    )  # fmt: skip
    opsets = [onnx.helper.make_opsetid("", 18)]
    content = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    with OrtEngine(tmp_path / "m.onnx", content=content) as engine, pytest.raises(EdgeError) as caught:
        engine.run({"face": np.zeros((1, 4), np.float32)})
    assert str(caught.value).isprintable()
    assert capfd.readouterr().err == ""
