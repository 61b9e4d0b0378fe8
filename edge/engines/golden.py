"""Golden outputs, which a precision or an engine must reproduce on this machine before it is used.

This is needed because integer kernels differ between processors: u8 x s8 products saturate on old x86, and a
real accelerator differs from its emulation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.bundle import Bundle
from edge.data import Float32
from edge.errors import BundleError
from edge.manifest import StateTensor
from edge.preprocess import normalize_crops
from edge.protocols import Engine

MIN_COSINE = 0.999
MAX_LABEL_CHANGES = 0.01
_BATCH = 8  # sequences; all 64 in one batch take 10 MB more and are no faster


@dataclass(frozen=True)
class Verdict:
    """How closely an engine reproduces the golden logits."""

    min_cosine: float  # smallest cosine similarity of two logit rows
    label_changes: float  # share of rows with another top label

    @property
    def passed(self) -> bool:
        return self.min_cosine >= MIN_COSINE and self.label_changes <= MAX_LABEL_CHANGES

    def __str__(self) -> str:
        return (
            f"min cosine {self.min_cosine:.5f}, required {MIN_COSINE}; "
            f"label changes {self.label_changes:.2%}, allowed {MAX_LABEL_CHANGES:.0%}"
        )


def roll(engine: Engine, bundle: Bundle, crops: npt.NDArray[np.uint8]) -> Float32:
    """Logits (M,T,K) for M sequences of gray crops (M,T,S,S), all run from the zero state."""
    steps = (normalize_crops(crops[:, at], bundle.manifest) for at in range(crops.shape[1]))
    return roll_faces(engine, bundle.state, steps)


def roll_faces(engine: Engine, state: Sequence[StateTensor], steps: Iterable[Float32]) -> Float32:
    """Logits (M,T,K) for T steps of M faces (M,C,S,S) each, run from the zero state."""
    carried: dict[str, Any] = {}
    logits = []
    for faces in steps:
        carried = carried or {t.input: np.zeros((len(faces), *t.shape), np.float32) for t in state}
        out = engine.run({"face": faces, **carried})
        carried = {t.input: out[t.output] for t in state}
        logits.append(out["logits"])
    return np.stack(logits, axis=1)


def compare(logits: Float32, expected: Float32) -> Verdict:
    """Compare logits (...,K) with the golden ones, of the same shape; NaN never passes."""
    a, b = logits.reshape(-1, logits.shape[-1]), expected.reshape(-1, expected.shape[-1])
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(axis=1) / np.maximum(norms, 1e-12)
    worst = float(np.where(np.isfinite(cosine), cosine, -1).min())
    return Verdict(worst, float((a.argmax(axis=1) != b.argmax(axis=1)).mean()))


def reproduces(engine: Engine, bundle: Bundle) -> Verdict:
    """Run golden.npz through ``engine``; BundleError if the bundle has none."""
    entry = bundle.manifest.golden
    if entry is None:
        raise BundleError(f"bundle {bundle.folder} has no golden.npz; export it again")
    with np.load(bundle.folder / entry.path) as golden:
        crops, expected = golden["crops"], golden["logits"]
    parts = [roll(engine, bundle, crops[at : at + _BATCH]) for at in range(0, len(crops), _BATCH)]
    return compare(np.concatenate(parts), expected)
