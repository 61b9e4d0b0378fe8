"""Whole bundles to make mutants of: small, with golden outputs, all hashes right."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import tiny
from fuzz import npz_edits
from fuzz.networks import recurrent
from fuzz.wire import write

from edge import bundle as bundles
from edge.bundle import REFERENCE, Bundle
from edge.preprocess import normalize_crops

SEQUENCES, STEPS = 2, 6


def make_all(folder: Path) -> dict[str, Path]:
    """The bundles below ``folder``, by name; ONNX Runtime runs, so call it in a process of its own."""
    made = {"tiny": tiny.write(folder / "tiny"), "recurrent": tiny.write(folder / "recurrent")}
    (made["recurrent"] / "model.fp32.onnx").write_bytes(write(recurrent()))
    for path in made.values():
        _small(path)
    made["reference"] = _reference(folder / "reference")
    for path in made.values():
        bundles.load(path)
    return made


def _small(folder: Path) -> None:
    """Give a bundle golden outputs, a second precision, a card and figures."""
    (folder / "model.fp16.onnx").write_bytes((folder / "model.fp32.onnx").read_bytes())
    (folder / "model-card.md").write_text("# made for tests\n")
    (folder / "evaluation.json").write_text('{"figures": {"macs": 1}, "training": {"seed": 2}}')
    document = json.loads((folder / "manifest.json").read_text())
    document["files"] = {name: {"path": f"model.{name}.onnx"} for name in ("fp32", "fp16")}
    right(folder, document)
    crops = Random(7).randbytes(SEQUENCES * STEPS * 64)
    pictures = np.frombuffer(crops, np.uint8).reshape(SEQUENCES, STEPS, 8, 8)
    logits = outputs(bundles.load(folder), "fp32", pictures)
    _write_golden(folder / "golden.npz", pictures, logits)
    names = {"golden": "golden.npz", "card": "model-card.md", "evaluation": "evaluation.json"}
    right(folder, document | {key: {"path": name} for key, name in names.items()})


def _reference(folder: Path) -> Path:
    """The bundle that ships, with a few of its golden sequences; they take most of a first start."""
    folder.mkdir()
    for path in REFERENCE.iterdir():
        if path.is_file() and path.suffix != ".png":
            (folder / path.name).write_bytes(path.read_bytes())
    with np.load(REFERENCE / "golden.npz") as golden:
        crops, logits = golden["crops"][:SEQUENCES, :STEPS], golden["logits"][:SEQUENCES, :STEPS]
    _write_golden(folder / "golden.npz", crops, logits)
    document = json.loads((folder / "manifest.json").read_text())
    del document["picture"]
    right(folder, document)
    return folder


def _write_golden(path: Path, crops: Any, logits: Any) -> None:
    numbers = [float(value) for value in np.ravel(logits)]
    members = [
        ("crops.npy", npz_edits.array(crops.shape, crops.tobytes()), zipfile.ZIP_DEFLATED),
        ("logits.npy", npz_edits.array(logits.shape, struct.pack(f"<{len(numbers)}f", *numbers), "<f4"), 0),
    ]
    path.write_bytes(npz_edits.pack(members))


def right(folder: Path, document: Mapping[str, Any]) -> None:
    """Write the manifest with the hashes of the files that stand in the folder."""
    singles = [document[key] for key in ("golden", "card", "per_frame", "evaluation") if key in document]
    for entry in [*document["files"].values(), *singles]:
        entry["sha256"] = digest(folder / entry["path"])
    path = folder / "manifest.json"
    path.unlink(missing_ok=True)  # it may have another name in the folder that it was copied from
    path.write_text(json.dumps(document))


def digest(path: Path) -> str:
    """SHA-256 of a regular file; zeros for anything else, which no reader may open."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > 1 << 26:
        return "0" * 64
    return hashlib.sha256(path.read_bytes()).hexdigest()


def copy(source: Path, folder: Path) -> None:
    """A bundle's folder with the same files under other names of theirs: nothing may be changed in place."""
    folder.mkdir()
    for path in source.iterdir():
        os.link(path, folder / path.name)


def outputs(bundle: Bundle, precision: str, crops: Any) -> Any:
    """Logits (M,T,K) of crops (M,T,S,S), calculated by ONNX Runtime alone: a judge of its own."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.x64quantprecision", "1")
    model = str(bundle.model(precision))
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = ["logits", *(tensor.output for tensor in bundle.state)]
    state: Sequence[Any] = [np.zeros((len(crops), *tensor.shape), np.float32) for tensor in bundle.state]
    rows = []
    for at in range(crops.shape[1]):
        feeds = {"face": normalize_crops(crops[:, at], bundle.manifest)}
        feeds |= {tensor.input: row for tensor, row in zip(bundle.state, state, strict=True)}
        logits, *state = session.run(names, feeds)
        rows.append(logits)
    return np.stack(rows, axis=1)
