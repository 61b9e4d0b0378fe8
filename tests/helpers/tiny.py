"""A tiny bundle made on the spot: a step graph of a few ONNX nodes whose outputs are known by hand."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

# step(face[N,1,8,8], state_h[N,2]): new_state_h = state_h + mean(face),
# logits = new_state_h @ [[1,0,0],[0,1,0]].
# Made by tests/helpers/make_tiny.py, so that tests of the runtime need no onnx.
MODEL = base64.b64decode(Path(__file__).with_name("tiny_model.b64").read_text())
LABELS = ["calm", "glad", "cross"]


def manifest(**changes: Any) -> dict[str, Any]:
    """A valid manifest for the tiny model, with ``changes`` on its first level."""
    return {
        "format": 2,
        "name": "tiny",
        "version": "1",
        "license": "tests only",
        "labels": LABELS,
        "input": {
            "size": 8,
            "channels": 1,
            "normalization": "unit",
            "crop": {"scale": 1.0, "align": "none"},
        },
        "state": [{"input": "state_h", "output": "new_state_h", "shape": [2]}],
        "step_hz": 10,
        "trained_window": 4,
        "warm_steps": 2,
        "reset_after_s": 1.0,
        "temperature": 1.0,
        "abstain_below": 0.0,
        "files": {"fp32": {"path": "model.fp32.onnx"}},
        **changes,
    }


def write(folder: Path, model: bytes = MODEL, **changes: Any) -> Path:
    """Write the tiny bundle, or another with the network ``model``, into ``folder`` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.fp32.onnx").write_bytes(model)
    made = manifest(**changes)
    for entry in made["files"].values():
        entry.setdefault("sha256", hashlib.sha256((folder / entry["path"]).read_bytes()).hexdigest())
    (folder / "manifest.json").write_text(json.dumps(made))
    return folder
