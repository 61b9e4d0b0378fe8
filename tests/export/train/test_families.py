"""Every family of step: exported, proven, quantized, and run by the same runtime on real faces."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.engines.ort import OrtEngine

pytestmark = pytest.mark.export
onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[3]
FAMILIES = ["cnn", "cnn-gru", "cnn-lstm", "cnn-gru-spatial-attention", "cnn-temporal-attention"]


def network(family: str):
    from export.train.networks import StreamingNetwork

    torch.manual_seed(3)
    made = StreamingNetwork("plain-s", family, hidden=16)
    with torch.no_grad():
        for parameter in made.head.parameters():  # louder than fresh weights, so that memory shows
            parameter.mul_(3)
    return made.eval()


def test_the_list_is_complete() -> None:
    from export.train.heads import FAMILIES as known

    assert list(known) == FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_becomes_a_bundle_that_runs(family: str, tmp_path) -> None:
    from edge.system.steps import Steps
    from export.bundle.make import bundle_step
    from export.bundle.options import Options
    from export.data.ferplus import LABELS

    model = network(family)
    options = Options(labels=LABELS, normalize="standardize", step_hz=10, name=family)
    with Steps("test") as steps:
        bundle_step(model, model, tmp_path / "b", options, steps)
    proof = json.loads((tmp_path / "b" / "manifest.json").read_text())["proof"]
    assert proof["compared_steps"] == 300
    assert proof["max_abs"] <= 1e-4
    command = [sys.executable, "-m", "edge", "run", "demo", "--bundle", str(tmp_path / "b"), "--jsonl", "-"]
    done = subprocess.run([*command, "--max-frames", "45"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 10


@pytest.mark.parametrize("family", FAMILIES)
def test_int8_of_a_family_stays_close(family: str, tmp_path) -> None:
    from calibration import ranges
    from edge.engines.golden import compare
    from export.graph.states import tensors
    from export.graph.to_onnx import export_step
    from export.int8.lint import fused_convolutions
    from export.int8.quantize import write_int8
    from export.parity.proof import roll

    model = network(family)
    fp32, int8 = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    export_step(model, tensors(model.state), (1, 48, 48), fp32)
    faces = np.random.default_rng(0).standard_normal((64, 1, 48, 48)).astype(np.float32)
    step = onnx.load(str(fp32))
    table = ranges.summarize(ranges.observe(step, tensors(model.state), [faces]), "minmax")
    write_int8(step, int8, table, "cpu")
    assert fused_convolutions(int8) == (9, 9)
    seen = faces.reshape(2, 32, 1, 48, 48)
    a, b = (roll(OrtEngine(path), tensors(model.state), seen) for path in (fp32, int8))
    assert compare(a, b).min_cosine > 0.99


@pytest.mark.parametrize("family", FAMILIES)
def test_tensorrt_builds_every_family(family: str, tmp_path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="no TensorRT-RTX; make judge installs it")
    from calibration import ranges
    from edge.engines.tensorrt import builder
    from export.graph.states import tensors
    from export.graph.to_onnx import export_step
    from export.int8.half import to_half
    from export.int8.quantize import write_int8

    model = network(family)
    fp32 = tmp_path / "fp32.onnx"
    export_step(model, tensors(model.state), (1, 48, 48), fp32)
    faces = np.random.default_rng(0).standard_normal((16, 1, 48, 48)).astype(np.float32)
    step = onnx.load(str(fp32))
    table = ranges.summarize(ranges.observe(step, tensors(model.state), [faces]), "minmax")
    write_int8(step, tmp_path / "int8.onnx", table, "trt", half=True)
    onnx.save_model(to_half(step), str(tmp_path / "fp16.onnx"))
    for name in ("int8", "fp16", "fp32"):
        model_bytes = (tmp_path / f"{name}.onnx").read_bytes()
        plan = builder.build(model_bytes, name, 8, 64, None, "8.6", lambda line: None)
        assert len(plan) > 500_000, name


def test_the_attention_map_shows_where_the_evidence_is(tmp_path) -> None:
    from export.graph.states import tensors
    from export.graph.to_onnx import export_step

    model = network("cnn-gru-spatial-attention")
    path = tmp_path / "step.onnx"
    export_step(model, tensors(model.state), (1, 48, 48), path)
    engine = OrtEngine(path)
    face = np.zeros((2, 1, 48, 48), np.float32)
    face[0, 0, 4:12, 4:12] = 3
    out = engine.run({"face": face, "state_h": np.zeros((2, 16), np.float32)})
    assert out["attention"].shape == (2, 3, 3)
    np.testing.assert_allclose(out["attention"].sum((1, 2)), 1, atol=1e-5)
    moved = np.abs(out["attention"][0] - out["attention"][1])
    assert moved[:2, :2].mean() > 2 * moved[2:].mean(), "what changed at the top left shows there"


def test_temporal_attention_ignores_frames_that_never_were() -> None:
    model = network("cnn-temporal-attention")
    features = torch.randn(1, 256)
    young, window = model.head(features, torch.zeros(1, *model.state["state_window"]))
    for _ in range(20):
        old, window = model.head(features, window)
    assert not torch.allclose(young, young * 0)
    torch.testing.assert_close(young, old, atol=1e-4, rtol=0)  # the same frame twenty times says nothing new
