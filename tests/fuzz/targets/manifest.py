"""manifest.json: whatever its bytes, it is refused in one line or promises only what is possible."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import tiny
from fuzz import json_edits, npz_edits
from fuzz.targets.base import Target, is_plain, scratch, tell

from edge import bundle
from edge.bundle import Bundle
from edge.errors import BundleError

# Bounds as docs and issue state them; not read from the schema, which is judged here.
BOUNDS = {
    "step_hz": (0.01, 1000), "trained_window": (1, 100_000), "warm_steps": (1, 100_000),
    "reset_after_s": (0.001, 3600), "temperature": (0.01, 100), "abstain_below": (0, 1),
}  # fmt: skip
MOST_VALUES = 1 << 22
FILES = {
    "model.fp32.onnx": tiny.MODEL,
    "model.fp16.onnx": b"not parsed here",
    "golden.npz": npz_edits.golden(),
    "model-card.md": b"# tiny\n",
    "evaluation.json": b'{"figures": {"macs": 1}}',
}


def entry(name: str) -> dict[str, str]:
    """The manifest's entry of one of ``FILES``."""
    return {"path": name, "sha256": hashlib.sha256(FILES[name]).hexdigest()}


def full(**changes: Any) -> dict[str, Any]:
    """A manifest that names every file and uses every entry, with ``changes``."""
    files = {"fp32": entry("model.fp32.onnx"), "fp16": entry("model.fp16.onnx")}
    return tiny.manifest(
        files=files, golden=entry("golden.npz"), card=entry("model-card.md"),
        evaluation=entry("evaluation.json"),
        explanations=[{"output": "attention", "shape": [4]}],
        face_check={"output": "face_logit", "threshold": -2.5}, proof={"steps": 3, "max_abs": 4.3e-07,
        "batches": [1, 4]}, calibration={"steps": 1},
    ) | changes  # fmt: skip


@cache
def folder() -> Path:
    """A bundle's folder whose manifest the input becomes."""
    path = scratch("manifest") / "b"
    path.mkdir()
    for name, content in FILES.items():
        (path / name).write_bytes(content)
    return path


def run(data: bytes) -> bool:
    path = folder() / "manifest.json"
    path.write_bytes(data)
    try:
        loaded = bundle.load(folder())
        loaded.record()
    except BundleError as error:
        tell(error)
        return False
    _strict(data)
    _possible(loaded)
    return True


def _strict(data: bytes) -> None:
    """No key twice, no number that is none, no depth without end."""

    def pairs(rows: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({key for key, _ in rows}) == len(rows), "a key occurs twice"
        return dict(rows)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} was accepted")

    value = json.loads(data, object_pairs_hook=pairs, parse_constant=refuse)
    assert _depth(value) <= 64, "nested too deep"
    for number in _numbers(value):
        assert math.isfinite(number), "a number out of range"


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)


def _possible(loaded: Bundle) -> None:
    manifest = loaded.manifest
    for name, (low, high) in BOUNDS.items():
        assert low <= getattr(manifest, name) <= high, f"{name} is {getattr(manifest, name)}"
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", manifest.name), manifest.name
    for text in (manifest.version, manifest.license, *manifest.labels):
        assert isinstance(text, str), repr(text)
        assert is_plain(text), repr(text)
    labels = manifest.labels
    assert 2 <= len(labels) <= 1000, len(labels)
    assert len(set(labels)) == len(labels), labels
    assert all(label == label.strip() and 1 <= len(label) <= 64 for label in labels), labels
    assert 8 <= manifest.input.size <= 1024, manifest.input
    assert manifest.input.channels in (1, 3), manifest.input
    assert manifest.input.color in (("gray",) if manifest.input.channels == 1 else ("gray", "rgb", "bgr"))
    assert 0.1 <= manifest.input.crop.scale <= 10, manifest.input
    inputs = ["face", *(tensor.input for tensor in manifest.state)]
    outputs = ["logits", *(t.output for t in (*manifest.state, *manifest.explanations))]
    if manifest.face_check:
        outputs.append(manifest.face_check.output)
        assert abs(manifest.face_check.threshold) <= 1000, manifest.face_check
    for names in (inputs, outputs):
        assert len(set(names)) == len(names), names
        assert all(isinstance(name, str) and name and is_plain(name) for name in names), names
    for tensor in (*manifest.state, *manifest.explanations):
        assert all(type(size) is int and size >= 1 for size in tensor.shape), tensor
        assert math.prod(tensor.shape) <= MOST_VALUES, tensor
    _files(loaded)


def _files(loaded: Bundle) -> None:
    assert "fp32" in loaded.precisions
    assert all(re.fullmatch("[a-z0-9][a-z0-9-]{0,31}", name) for name in loaded.precisions), loaded.precisions
    for file in loaded.manifest.listed():
        assert Path(file.path).name == file.path, file
        content = (loaded.folder / file.path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.sha256, file


def seeds() -> Iterator[bytes]:
    for made in (
        full(),
        full(state=[], explanations=[]),
        full(
            labels=["é", "zwei Worte", "三", "a" * 64], state=[{"input": "a", "output": "b", "shape": [2, 3]}]
        ),
        full(input={**tiny.manifest()["input"], "channels": 3, "color": "bgr"}),
        full(format=1, training={"seed": 2}, evaluation={"macs": 1}),
        tiny.manifest(files={"fp32": entry("model.fp32.onnx")}),
    ):
        yield json.dumps(made, ensure_ascii=False).encode()
    yield from json_edits.each(json.dumps(full()))


WORDS = (*full(), *FILES, "path", "sha256", "input", "output", "shape", "size", "channels",
    "normalization", "crop", "color", "rgb", "bgr",
         "scale", "align", "fp32", "eyes", "none", "unit", "imagenet", "normalisation", "standardise",
         "NaN", "-Infinity",
         "1e999", "\\ud800", "\\u001b", "\\n")  # fmt: skip


def mutate(data: bytes, rng: Random) -> bytes:
    return json_edits.mutate(data, rng, WORDS)


TARGET = Target(
    "manifest", run, seeds, mutate, WORDS, most_bytes=8192
)  # fmt: skip
