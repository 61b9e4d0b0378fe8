"""Temperature and threshold of a bundle from labeled faces, and what they do on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.bundle import Bundle
from edge.errors import EdgeError
from edge.protocols import Engine
from edge.recognition.decision import Decision
from edge.system.hashing import sha256
from edge.system.steps import Steps
from export.data.halves import Faces, Halves, halves
from export.int8.reference_engine import reference_engines
from export.metrics import accuracy, intervals
from export.metrics.set_report import MIN_PEOPLE

TARGET = 0.9  # share of answers that shall be right
LEAST_ANSWERED = 30  # faces at a threshold; the share of fewer says little
_TEMPERATURES = (0.01, 100.0)  # what a manifest may hold
_THRESHOLDS = np.arange(0.2, 1.0, 0.01).round(2).tolist()
_BATCH = 64  # steps of the progress

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    """What the network says of faces: logits (N,K), and what they are."""

    logits: Float32
    faces: Faces

    def probabilities(self, temperature: float) -> Float32:
        return Decision((), temperature, 0, 0).probabilities(self.logits)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.logits.argmax(axis=1) == self.faces.labels)


def fit(bundle: Bundle, data: Path, other: Path | None, target: float, steps: Steps) -> dict[str, Any]:
    """Temperature and threshold of the bundle fitted on ``data``, and all figures of it.

    Temperature: the least negative log likelihood (Guo et al., ICML 2017). Threshold: the least of the
    risk-coverage curve (Geifman and El-Yaniv, NeurIPS 2017) at which ``target`` of the answers are right.
    All figures are of faces that had no part in it: half of ``data`` or, if given, the file ``other``.
    EdgeError where the faces cannot tell either.
    """
    steps.begin("reading faces")
    parts = halves(data, other, bundle)
    engines = reference_engines(bundle)
    fp32 = engines.pop("fp32")
    fitted, held_out = (
        Seen(_logits("fp32", fp32, bundle, half, steps), half) for half in (parts.fitted, parts.held_out)
    )
    temperature = _temperature(fitted, data)
    threshold, reached = _threshold(fitted, temperature, target)
    others = {
        name: Seen(_logits(name, engine, bundle, parts.held_out, steps), parts.held_out)
        for name, engine in engines.items()
    }
    old = bundle.manifest
    labels, groups = fitted.faces.labels, fitted.faces.groups
    return {
        "data_sha256": sha256(data),
        "held_out_sha256": sha256(other) if other else None,
        "split": parts.split,
        "faces": _counts(parts, bundle.labels),
        "still_steps": accuracy.STILL_STEPS,
        "temperature": temperature,
        "temperature_95": intervals.of_temperature(fitted.logits, labels, temperature, groups)
        if len(np.unique(groups)) >= MIN_PEOPLE
        else None,
        "abstain_below": threshold,
        "target": target,
        "reached": reached,
        "before": {"temperature": old.temperature, "abstain_below": old.abstain_below},
        "held_out": _held_out({"fp32": held_out, **others}, old.temperature, temperature, threshold),
    }


def _logits(name: str, engine: Engine, bundle: Bundle, half: Faces, steps: Steps) -> Float32:
    images = half.images
    steps.begin(f"running {name} on {len(images):,} faces", len(images))
    parts = []
    for at in range(0, len(images), _BATCH):
        parts.append(accuracy.still_logits(engine, bundle, images[at : at + _BATCH])[:, -1])
        steps.add(len(parts[-1]))
    logits = np.concatenate(parts)
    if not np.isfinite(logits).all():
        raise EdgeError(f"{name} gives logits that are not finite; export the network again")
    return logits


def _temperature(fitted: Seen, data: Path) -> float:
    labels = fitted.faces.labels
    temperature = accuracy.fit_temperature(fitted.logits, labels, _TEMPERATURES)
    if temperature <= 1.01 * _TEMPERATURES[0]:
        raise EdgeError(
            f"{data}: all {len(labels)} faces to fit on are answered right and surely, so no temperature "
            "is best; pass faces that the network was not trained on, hard ones among them"
        )
    if temperature >= 0.99 * _TEMPERATURES[1]:
        raise EdgeError(
            f"{data}: {fitted.right.mean():.0%} of {len(labels)} faces to fit on are answered right, the "
            "sure answers no oftener; check the order of the labels and the crop of the faces"
        )
    return temperature


def _threshold(fitted: Seen, temperature: float, target: float) -> tuple[float, bool]:
    """The least threshold that reaches ``target``; where none does, what comes closest, and False."""
    rows = accuracy.coverage(fitted.probabilities(temperature), fitted.right, _THRESHOLDS)
    least = LEAST_ANSWERED / len(fitted.faces.labels)
    rows = [row for row in rows if row["answered"] >= least]
    reaching = [row for row in rows if row["accuracy"] >= target]
    best = reaching[0] if reaching else max(rows, key=lambda row: float(row["accuracy"]))
    return float(best["threshold"]), bool(reaching)


def _counts(parts: Halves, names: Sequence[str]) -> dict[str, Any]:
    """Faces, groups and faces of each label in both halves."""
    both = {"fitted": parts.fitted, "held_out": parts.held_out}
    return {
        what: {
            "n": len(half.labels),
            "groups": len(np.unique(half.groups)),
            "labels": {name: int((half.labels == k).sum()) for k, name in enumerate(names)},
        }
        for what, half in both.items()
    }


def _held_out(seen: dict[str, Seen], old: float, new: float, threshold: float) -> dict[str, Any]:
    """Figures of the held-out faces: fp32 in full, the others at the fitted values."""
    fp32 = seen["fp32"]
    labels = fp32.faces.labels
    gain = accuracy.likelihood(fp32.logits, labels, new) - accuracy.likelihood(fp32.logits, labels, old)
    many = len(np.unique(fp32.faces.groups)) >= MIN_PEOPLE
    return {
        "accuracy": _share(fp32, np.ones(len(labels), bool)),
        "calibration": {
            what: _calibration(fp32, each)
            for what, each in (("unscaled", 1.0), ("before", old), ("fitted", new))
        },
        "nll_gain": {
            "value": round(float(gain.mean()), 4),
            "interval_95": intervals.of_mean(gain, fp32.faces.groups) if many else None,
        },
        "precisions": {
            name: {**_calibration(one, new), **_answered(one, new, threshold)} for name, one in seen.items()
        },
        "coverage": _rounded(accuracy.coverage(fp32.probabilities(new), fp32.right, _THRESHOLDS)),
        "reliability": {
            what: _rounded(accuracy.reliability(fp32.logits, labels, each))
            for what, each in (("before", old), ("fitted", new))
        },
    }


def _calibration(seen: Seen, temperature: float) -> dict[str, Any]:
    labels = seen.faces.labels
    return {
        "temperature": temperature,
        "ece": accuracy.calibration_error(seen.logits, labels, temperature),
        "nll": round(-float(accuracy.likelihood(seen.logits, labels, temperature).mean()), 4),
    }


def _answered(seen: Seen, temperature: float, threshold: float) -> dict[str, Any]:
    """Share of the faces answered, and of these answers right."""
    answered = seen.probabilities(temperature).max(axis=1) >= threshold
    right = _share(seen, answered) if answered.any() else None
    return {"answered": round(float(answered.mean()), 4), "right": right}


def _share(seen: Seen, rows: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Share of right answers among ``rows``; no interval over fewer than MIN_PEOPLE groups."""
    right, groups = seen.right[rows], seen.faces.groups[rows]
    value, people = float(right.mean()), len(np.unique(groups))
    bounds: list[float] | None = None
    if people == len(right) or (value in (0, 1) and people >= MIN_PEOPLE):  # no draw of groups would differ
        bounds = intervals.wilson(value * people, people)
    elif people >= MIN_PEOPLE:
        bounds = intervals.of_mean(right.astype(float), groups)
    return {"n": len(right), "value": round(value, 4), "interval_95": bounds}


def _rounded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value and round(value, 4) for key, value in row.items()} for row in rows]
