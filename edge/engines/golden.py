"""Golden outputs, which a precision or an engine must reproduce on this machine before it is used.

This is needed because integer kernels differ between processors: u8 x s8 products saturate on old x86, and a
real accelerator differs from its emulation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from edge import answers
from edge.answers import Meaning
from edge.bundle import Bundle
from edge.data import Float32
from edge.errors import BundleError
from edge.manifest import BundleFile, StateTensor
from edge.preprocess import normalize_crops
from edge.protocols import Engine

MIN_COSINE = 0.999
MAX_LABEL_CHANGES = 0.01
_BATCH = 8  # sequences; all 64 in one batch take 10 MB more and are no faster
_BATCH_BYTES = 16 << 20  # of their crops
_SEQUENCE_BYTES = 64 << 20
_MOST_STEPS = 2048  # the export writes 64 sequences of 12
_LARGEST = 1e9  # of a logit
ONE_OF = answers.OneOf(())


@dataclass(frozen=True)
class Verdict:
    """How closely an engine reproduces the golden logits.

    What another answer is depends on the output: another top label, another set of labels, or a value out of
    its bound. Logits of independent labels and values may lie near 0, where a row has no direction: their
    cosine is that of a whole sequence.
    """

    min_cosine: float  # smallest cosine similarity of two logit rows, or sequences
    label_changes: float  # share of rows with another answer

    @property
    def passed(self) -> bool:
        return self.min_cosine >= MIN_COSINE and self.label_changes <= MAX_LABEL_CHANGES

    def __str__(self) -> str:
        return (
            f"min cosine {self.min_cosine:.5f}, required {MIN_COSINE}; "
            f"answers changed {self.label_changes:.2%}, allowed {MAX_LABEL_CHANGES:.0%}"
        )


def roll(engine: Engine, bundle: Bundle, crops: npt.NDArray[np.uint8]) -> Float32:
    """Logits (M,T,K) for M sequences of crops (M,T,S,S) or (M,T,S,S,3) RGB, each from the zero state."""
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


def compare(logits: Float32, expected: npt.NDArray[Any], meaning: Meaning = ONE_OF) -> Verdict:
    """Compare logits (M,...,K) with the golden ones, of the same shape; NaN never passes."""
    columns = logits.shape[-1]
    a, b = (rows.reshape(-1, columns).astype(np.float64) for rows in (logits, expected))
    changed = float(meaning.changed(a, b).mean())
    if not meaning.by_row:
        a, b = a.reshape(len(logits), -1), b.reshape(len(logits), -1)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(axis=1) / np.maximum(norms, 1e-12)
    worst = float(np.where(np.isfinite(cosine), cosine, -1).min())
    return Verdict(worst, changed)


def reproduces(engine: Engine, bundle: Bundle, brief: bool = False) -> Verdict:
    """Run golden.npz through ``engine``, or its first sequences if ``brief``.

    BundleError if there is none, or another file in its place.
    """
    entry = bundle.manifest.golden
    if entry is None:
        raise BundleError(f"bundle {bundle.folder} has no golden.npz; export it again")
    count, worst, changed, meaning = 0, 1.0, 0.0, answers.of(bundle.manifest)
    for crops, expected in islice(_sequences(bundle, entry), 1 if brief else None):
        verdict = compare(roll(engine, bundle, crops), expected, meaning)
        count += len(crops)
        worst = min(worst, verdict.min_cosine)
        changed += len(crops) * verdict.label_changes
    return Verdict(worst, changed / count)


def _sequences(bundle: Bundle, entry: BundleFile) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]]:
    """Crops (M,T,S,S) or (M,T,S,S,3), and logits (M,T,K), a few sequences at a time.

    BundleError for another file.
    """
    try:
        yield from _batches(bundle, bundle.read(entry))
    except ValueError as error:
        raise BundleError(f"{bundle.folder / entry.path}: {error}; export the bundle again") from error


def _batches(bundle: Bundle, content: bytes) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]]:
    from edge.system.npz import arrays  # most starts have proven their network before

    members, face = arrays(content), bundle.manifest.input
    crop = (face.size, face.size, 3) if face.in_color else (face.size, face.size)
    crops, logits = members.get("crops"), members.get("logits")
    if crops is None or logits is None:
        raise ValueError(f"it contains {', '.join(members) or 'nothing'}, expected crops and logits"[:200])
    shape = crops.shape
    if crops.dtype != np.uint8 or len(shape) != 2 + len(crop) or shape[2:] != crop:
        wanted = ", ".join(map(str, crop))
        raise ValueError(f"crops are {crops.dtype} {shape}, expected uint8 (M, T, {wanted})")
    if not 0 < shape[0] * shape[1] <= _MOST_STEPS or prod(shape[1:]) > _SEQUENCE_BYTES:
        raise ValueError(f"crops are {shape}, expected 1 to {_MOST_STEPS:,} steps in short sequences")
    expected = (*shape[:2], len(bundle.labels))
    if logits.dtype.kind != "f" or logits.shape != expected:
        raise ValueError(f"logits are {logits.dtype} {logits.shape}, expected float32 {expected}")
    count = max(1, min(_BATCH, _BATCH_BYTES // prod(shape[1:])))
    for part, rows in zip(crops.batches(count), logits.batches(count), strict=True):
        if not (np.abs(rows.astype(np.float64)) < _LARGEST).all():  # "not" catches NaN
            raise ValueError("logits are not finite numbers of a reasonable size")
        yield part, rows
