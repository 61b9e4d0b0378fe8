"""Windows from Keras, by its own ONNX export and by tf2onnx. Slow: needs an environment with TensorFlow."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge.engines.ort import OrtEngine

ROOT = Path(__file__).parents[3]
KERAS = ROOT / ".venv-keras" / "bin" / "python"

pytestmark = [
    pytest.mark.export,
    pytest.mark.slow,
    pytest.mark.skipif(not KERAS.is_file(), reason="no Keras environment; make test-keras makes it"),
]
onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")


@pytest.mark.parametrize("exporter", ["own", "tf2onnx"])
@pytest.mark.parametrize("head", ["last", "mean"])
@pytest.mark.parametrize("kind", ["gru", "gru-classic", "lstm"])
def test_the_step_answers_as_keras_does(kind: str, head: str, exporter: str, tmp_path) -> None:
    from export.graph import window
    from export.graph.rewrite import rewrite
    from export.parity import proof, references

    path = tmp_path / "window.onnx"
    command = [
        str(KERAS),
        str(ROOT / "tests" / "helpers" / "keras_window.py"),
        kind,
        head,
        exporter,
        str(path),
    ]
    made = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stderr[-2000:]
    frames = window.load(path)
    step = rewrite(frames)
    assert frames.order == "BTHWC"
    onnx.save(step.model, str(tmp_path / "step.onnx"))
    engine = OrtEngine(tmp_path / "step.onnx")
    with np.load(f"{path}.npz") as known:
        faces, answers = known["windows"].transpose(0, 1, 4, 2, 3), known["answers"]
    logits = proof.roll(engine, step.state, faces)[:, -1]
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(shares, answers, atol=1e-5)
    long = np.tile(faces, (1, 5, 1, 1, 1))
    figures = proof.prove(engine, step.state, long, references.chained(frames, step))
    assert figures["max_abs"] <= 1e-4
