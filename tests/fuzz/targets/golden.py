"""golden.npz: whatever its bytes, it is refused in one line or has arrays of the right shapes."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import tiny
from fuzz import npz_edits
from fuzz.targets.base import Target, scratch, tell
from fuzz.targets.manifest import entry

from edge import bundle
from edge.bundle import Bundle
from edge.data import TensorSpec
from edge.engines.golden import reproduces
from edge.errors import BundleError
from edge.manifest import BundleFile
from edge.system.closing import Closing

SIZE, LABELS, MOST_STEPS = 8, 3, 2048


class Zeros(Closing):
    """An engine that looks at what it is given, and counts it."""

    def __init__(self) -> None:
        self.steps, self.serves, self.threads = 0, "zeros", 1
        self.inputs = {"face": TensorSpec("face", "float32", (None, 1, SIZE, SIZE))}
        self.outputs = {"logits": TensorSpec("logits", "float32", (None, LABELS))}

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        faces = np.asarray(feeds["face"])
        count = len(faces)
        assert faces.dtype == np.float32, faces.dtype
        assert faces.shape == (count, 1, SIZE, SIZE), faces.shape
        assert feeds["state_h"].shape == (count, 2), feeds["state_h"].shape
        assert np.isfinite(faces).all()
        self.steps += count
        assert self.steps <= MOST_STEPS, f"more than {MOST_STEPS} steps"
        return {
            "logits": np.ones((count, LABELS), np.float32),
            "new_state_h": np.zeros((count, 2), np.float32),
        }


@cache
def tiny_bundle() -> Bundle:
    folder = scratch("golden") / "b"
    folder.mkdir()
    (folder / "golden.npz").write_bytes(npz_edits.golden())
    return bundle.load(tiny.write(folder, golden=entry("golden.npz")))


def run(data: bytes) -> bool:
    loaded, engine = tiny_bundle(), Zeros()
    path = loaded.folder / "golden.npz"
    path.write_bytes(data)
    named = BundleFile("golden.npz", hashlib.sha256(data).hexdigest())
    loaded = replace(loaded, manifest=replace(loaded.manifest, golden=named))
    try:
        verdict = reproduces(engine, loaded)
    except BundleError as error:
        tell(error)
        return False
    assert np.isfinite([verdict.min_cosine, verdict.label_changes]).all(), verdict
    _look(data, engine.steps)
    return True


def _look(data: bytes, steps: int) -> None:
    """What Python and NumPy themselves find in an accepted file."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        crops, logits = (_member(file, name) for name in ("crops", "logits"))
    assert crops.dtype == np.uint8, crops.dtype
    assert crops.ndim == 4, crops.shape
    assert crops.shape[2:] == (SIZE, SIZE), crops.shape
    assert logits.dtype.kind == "f", logits.dtype
    assert logits.shape == (*crops.shape[:2], LABELS), logits.shape
    assert np.isfinite(logits).all(), "logits that are no numbers"
    assert steps == crops.shape[0] * crops.shape[1] > 0, f"{steps} steps of {crops.shape}"


def _member(file: zipfile.ZipFile, name: str) -> Any:
    named = [member for member in file.namelist() if member.removesuffix(".npy") == name]
    assert len(named) == 1, f"{named} for {name}"
    return np.lib.format.read_array(io.BytesIO(file.read(named[0])), allow_pickle=False)


def seeds() -> Iterator[bytes]:
    yield npz_edits.golden()
    members = npz_edits.unpack(npz_edits.golden(count=9, steps=1))
    yield npz_edits.pack([(name, data, zipfile.ZIP_DEFLATED) for name, data, _ in members])
    yield npz_edits.pack([*members[::-1], ("more.npy", npz_edits.array([1], b"\0"), zipfile.ZIP_STORED)])
    bomb = npz_edits.array([2, 30_000_000, 8, 8], bytes(1 << 16))
    yield npz_edits.pack([("crops.npy", bomb, zipfile.ZIP_DEFLATED), members[1]])


WORDS = (
    "crops.npy",
    "logits.npy",
    "'descr'",
    "'fortran_order'",
    "'shape'",
    "|u1",
    "<f4",
    "|O",
    "PK\x05\x06",
    "NUMPY",
)

TARGET = Target(
    "golden", run, seeds, npz_edits.mutate, WORDS, most_bytes=32768
)  # fmt: skip
