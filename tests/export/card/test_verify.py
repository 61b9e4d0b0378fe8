"""States are known by the manifest's names, whatever these are: ranges and verify from outside."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny

from edge import bundle as bundles
from edge.manifest import parse

pytestmark = pytest.mark.export
onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")

ROOT = Path(__file__).parents[3]


def command(*args: object) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, args)], capture_output=True, text=True, timeout=300, env=env
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def renamed(tmp_path_factory) -> Path:
    """The tiny bundle with the state output ``h_out``."""
    from edge.engines.ort import OrtEngine
    from export.bundle.golden import add_golden
    from export.bundle.write import write_bundle

    model = onnx.load_model_from_string(tiny.MODEL)
    for names in (*(node.output for node in model.graph.node), *(node.input for node in model.graph.node)):
        names[:] = ["h_out" if name == "new_state_h" else name for name in names]
    next(value for value in model.graph.output if value.name == "new_state_h").name = "h_out"
    state = [{"input": "state_h", "output": "h_out", "shape": [2]}]

    def fill(folder: Path) -> bundles.Bundle:
        onnx.save(model, str(folder / "model.fp32.onnx"))
        bundle = bundles.Bundle(folder, parse(tiny.manifest(state=state)))
        return add_golden(bundle, OrtEngine(folder / "model.fp32.onnx"))

    folder = tmp_path_factory.mktemp("renamed") / "bundle"
    write_bundle(folder, fill)
    return folder


def test_verify_takes_the_names_of_the_manifest(renamed: Path, tmp_path) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (4, 24, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "crops.npz", crops=crops)
    done = command("export", "verify", renamed, "--data", tmp_path / "crops.npz")
    assert "holds   fp32, comes and goes in a batch" in done.stdout
    assert "BROKEN" not in done.stdout


def test_ranges_take_the_names_of_the_manifest(renamed: Path, tmp_path) -> None:
    from calibration import calibration_set

    crops = np.full((8, 32, 8, 8), 255, np.uint8)
    sequences = [calibration_set.Sequence(one, "calm", "white") for one in crops]
    calibration_set.write(tmp_path / "set", sequences, "none")
    command("calibration", "ranges", renamed, tmp_path / "set", "-o", tmp_path / "ranges.json")
    tensors = json.loads((tmp_path / "ranges.json").read_text())["tensors"]
    assert tensors["h_out"] == pytest.approx([1, 32]), "32 steps that add one"
    assert tensors["state_h"] == pytest.approx([0, 31])
