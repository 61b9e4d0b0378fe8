"""PyTorch -> ONNX -> INT8: parity over time, folded norms, nothing left in float unseen."""

import numpy as np
import pytest

from edge.engines.ort import OrtEngine
from edge.errors import EdgeError

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

SHAPES = {"state_h": (96,)}


@pytest.fixture(scope="module")
def model():
    from export.train.networks import StreamingNetwork

    torch.manual_seed(0)
    made = StreamingNetwork("residual-s", "cnn-gru").train()
    with torch.no_grad():  # batch norms with statistics worth folding
        for _ in range(3):
            made(torch.randn(8, 1, 48, 48) * 2 + 1, torch.zeros(8, 96))
    return made.eval()


@pytest.fixture(scope="module")
def fp32(model, tmp_path_factory):
    from export.graph.states import tensors
    from export.graph.to_onnx import export_step

    path = tmp_path_factory.mktemp("step") / "model.fp32.onnx"
    export_step(model, tensors(SHAPES), (1, 48, 48), path)
    return path


def test_the_step_equals_pytorch_over_300_steps(model, fp32) -> None:
    from export.graph.states import tensors
    from export.parity.proof import prove
    from export.parity.references import every_step

    faces = np.random.default_rng(0).standard_normal((3, 300, 1, 48, 48)).astype(np.float32)
    figures = prove(OrtEngine(fp32), tensors(SHAPES), faces, every_step(model))
    assert figures["compared_steps"] == 300
    assert figures["max_abs"] <= 1e-4


def test_the_proof_fails_for_another_model(fp32) -> None:
    from export.graph.states import tensors
    from export.parity.proof import prove
    from export.parity.references import every_step
    from export.train.networks import StreamingNetwork

    faces = np.zeros((2, 4, 1, 48, 48), np.float32)
    other = StreamingNetwork("residual-s", "cnn-gru").eval()
    with pytest.raises(EdgeError, match="differs from its original"):
        prove(OrtEngine(fp32), tensors(SHAPES), faces, every_step(other))


def test_the_graph_is_plain(fp32) -> None:
    graph = onnx.load(str(fp32))
    kinds = {node.op_type for node in graph.graph.node}
    assert not kinds & {"GRU", "LSTM", "Loop", "Scan", "BatchNormalization"}
    assert graph.ir_version == 10
    assert graph.opset_import[0].version == 18
    engine = OrtEngine(fp32)
    assert {name: spec.shape for name, spec in engine.inputs.items()} == {
        "face": (None, 1, 48, 48),
        "state_h": (None, 96),
    }
    assert list(engine.outputs) == ["logits", "new_state_h"]


def test_no_path_of_the_exporting_machine_stays_inside(fp32) -> None:
    assert b"site-packages" not in fp32.read_bytes()
    assert b"networks.py" not in fp32.read_bytes()
