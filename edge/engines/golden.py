"""Golden outputs: what a precision or an engine must reproduce on this machine before it serves.

Needed because integer kernels differ between processors: u8 x s8 products saturate on old x86, and a
real accelerator is not its emulation.
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
_AT_ONCE = 8  # sequences: all 64 in one batch take 10 MB more and no less time


@dataclass(frozen=True)
class Verdict:
    """How close an engine comes to the golden logits."""

    min_cosine: float  # smallest cosine of two logit rows
    label_changes: float  # share of rows whose largest logit moved

    @property
    def passed(self) -> bool:
        return self.min_cosine >= MIN_COSINE and self.label_changes <= MAX_LABEL_CHANGES

    def __str__(self) -> str:
        return (
            f"min cosine {self.min_cosine:.5f}, needed {MIN_COSINE}; "
            f"label changes {self.label_changes:.2%}, allowed {MAX_LABEL_CHANGES:.0%}"
        )


def roll(engine: Engine, bundle: Bundle, crops: npt.NDArray[np.uint8]) -> Float32:
    """Logits (M,T,K) of M sequences of gray crops (M,T,S,S), all rolled forward from the zero state."""
    steps = (normalize_crops(crops[:, at], bundle.manifest) for at in range(crops.shape[1]))
    return roll_faces(engine, bundle.state, steps)


def roll_faces(engine: Engine, state: Sequence[StateTensor], steps: Iterable[Float32]) -> Float32:
    """Logits (M,T,K) of T steps of M faces (M,C,S,S) each, rolled forward from the zero state."""
    carried: dict[str, Any] = {}
    logits = []
    for faces in steps:
        carried = carried or {t.input: np.zeros((len(faces), *t.shape), np.float32) for t in state}
        out = engine.run({"face": faces, **carried})
        carried = {t.input: out[t.output] for t in state}
        logits.append(out["logits"])
    return np.stack(logits, axis=1)


def compare(found: Float32, expected: Float32) -> Verdict:
    """Verdict on logits (...,K) against the golden ones of the same shape; NaN never passes."""
    a, b = found.reshape(-1, found.shape[-1]), expected.reshape(-1, expected.shape[-1])
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(axis=1) / np.maximum(norms, 1e-12)
    worst = float(np.where(np.isfinite(cosine), cosine, -1).min())
    return Verdict(worst, float((a.argmax(axis=1) != b.argmax(axis=1)).mean()))


def reproduces(engine: Engine, bundle: Bundle) -> Verdict:
    """Run golden.npz through ``engine``; BundleError where the bundle carries none."""
    entry = bundle.manifest.golden
    if entry is None:
        raise BundleError(f"bundle {bundle.folder} has no golden.npz; export it again")
    with np.load(bundle.folder / entry.path) as golden:
        crops, logits = golden["crops"], golden["logits"]
    parts = [roll(engine, bundle, crops[at : at + _AT_ONCE]) for at in range(0, len(crops), _AT_ONCE)]
    return compare(np.concatenate(parts), logits)
