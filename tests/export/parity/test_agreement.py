"""The short cuts of the agreement change nothing: a resetting stream needs its last window only."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.export
onnx = pytest.importorskip("onnx")

from windows import Recipe, build  # noqa: E402

from edge.engines.ort import OrtEngine  # noqa: E402
from export.graph import window  # noqa: E402
from export.graph.phases import RESETS  # noqa: E402
from export.graph.rewrite import rewrite  # noqa: E402
from export.parity import agreement, proof  # noqa: E402


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("recipe", [Recipe(steps=4), Recipe("LSTM", (5, 4), 5, "mean")])
def test_the_answer_at_a_step_is_that_of_the_whole_stream(reset: str, recipe: Recipe, tmp_path) -> None:
    onnx.save(build(recipe), str(tmp_path / "window.onnx"))
    frames = window.load(tmp_path / "window.onnx")
    step = rewrite(frames, reset)
    onnx.save(step.model, str(tmp_path / "step.onnx"))
    engine = OrtEngine(tmp_path / "step.onnx")
    faces = np.random.default_rng(0).standard_normal((3, 20 * recipe.steps, 1, 8, 8)).astype(np.float32)
    rolled = proof.roll(engine, step.state, faces)
    for at in agreement.at_steps(recipe.steps):
        answers = agreement._answers(reset, engine, step.state, faces, at, recipe.steps)
        assert np.abs(answers - rolled[:, at - 1]).max() < 1e-5, f"step {at}"
