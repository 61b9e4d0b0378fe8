"""The ONNX Runtime engine."""

from pathlib import Path

import numpy as np
import pytest
import tiny
from contracts import check_engine

from edge.engines.ort import OrtEngine
from edge.errors import BundleError


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
