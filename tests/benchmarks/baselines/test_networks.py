"""Our network up to where its state enters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny

from benchmarks.baselines import networks
from edge import bundle as bundles
from edge.engines.ort import OrtEngine


@pytest.mark.export
def test_the_cnn_is_cut_where_the_state_comes_in(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    bundle = bundles.load(tiny.write(tmp_path))
    cut = networks.session(networks.before_state(bundle.model("fp32"), ["state_h"]))
    assert [one.name for one in cut.get_inputs()] == ["face"]
    face = np.random.default_rng(0).random((1, 1, 8, 8)).astype(np.float32)
    step = OrtEngine(bundle.model("fp32")).run({"face": face, "state_h": np.zeros((1, 2), np.float32)})
    (mean,) = cut.run(None, {"face": face})
    assert np.allclose(np.ravel(mean)[0], step["logits"][0, 0]), "the tiny step adds the mean to its state"
    with pytest.raises(ValueError, match="before its state"):
        networks.before_state(bundle.model("fp32"), ["state_h", "face"])
