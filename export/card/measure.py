"""Every figure of the model card, measured on the report fold."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration import degrade
from edge.bundle import Bundle
from edge.protocols import Engine
from edge.recognition.decision import Decision
from export.bundle import golden
from export.bundle.describe import audit
from export.card import measure_time, per_frame
from export.data import ferplus
from export.data.labeled import Labeled
from export.int8.gate import Budgets, compare, long_runs
from export.int8.reference_engine import reference_engines
from export.metrics import accuracy, robustness
from export.metrics.set_report import Answers

Uint8 = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def measure(bundle: Bundle, data: ferplus.FerPlus) -> dict[str, Any]:
    """Figures of every precision of a bundle, from its files alone, on the fold ``data.report``."""
    rows = data.fold == data.report
    images, votes = data.images[rows], data.votes[rows]
    labels = ferplus.majority(votes)
    known, alike = labels >= 0, ferplus.lookalikes(data)
    engines = reference_engines(bundle)
    both = {name: engine for name, engine in engines.items() if name in ("fp32", "int8-cpu")}
    stills = {name: _stills(engine, bundle, images, labels, alike) for name, engine in engines.items()}
    runs = long_runs(engines, bundle, Labeled(images, labels))
    alone = per_frame.load(bundle)(accuracy.normalized(images[:, None], bundle))[:, 0]
    return {
        "fold": ferplus.FOLDS[data.report],
        "still_steps": accuracy.STILL_STEPS,
        "temperature": bundle.manifest.temperature,
        "abstain_below": bundle.manifest.abstain_below,
        "macs": audit(bundle.model("fp32"))["macs"],
        "lookalikes": int((alike & known).sum()),
        "precisions": stills,
        "gate": {
            name: compare(name, figures, stills["fp32"], (runs[name], runs["fp32"]), Budgets())
            for name, figures in stills.items()
            if name != "fp32"
        },
        "without_memory": accuracy.score(alone, labels, bundle.labels),
        "robustness": robustness.curves(both, bundle, images[known], labels[known]),
        "abstention": _abstention(engines["fp32"], bundle, data),
        "over_time": measure_time.measure(engines["fp32"], bundle, images, labels),
        "data_sheet": ferplus.describe(data, bundle.labels),
    }


def _stills(
    engine: Engine, bundle: Bundle, images: Uint8, labels: Labels, alike: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    """Accuracy, UAR and recall per class with intervals, calibration error, and answers against coverage."""
    logits = accuracy.still_logits(engine, bundle, images)
    known, temperature = labels >= 0, bundle.manifest.temperature
    decision = Decision(bundle.labels, temperature, 0, 0)
    wanted, last = labels[known], logits[known, -1]
    right = last.argmax(axis=-1) == wanted
    left = np.where(alike, -1, labels)
    without = accuracy.score(logits[:, -1], left, bundle.labels) if (left >= 0).any() else None
    answers = Answers(right, wanted, np.arange(len(right)).astype(str))
    return {
        **accuracy.score(logits[:, -1], labels, bundle.labels),
        "accuracy_95": answers.interval("war")["interval_95"],
        "uar_95": answers.interval("uar")["interval_95"],
        "recall_95": {
            bundle.labels[k]: answers.among(wanted == k).interval("war")["interval_95"]
            for k in np.unique(wanted)
        },
        "without_lookalikes": without and {key: without[key] for key in ("n", "accuracy", "uar")},
        "accuracy_step_1": accuracy.score(logits[:, 0], labels, bundle.labels)["accuracy"],
        "calibration_error": accuracy.calibration_error(logits[:, -1], labels, temperature),
        "coverage": _coverage(decision.probabilities(last), right, bundle.manifest.abstain_below),
    }


def _coverage(p: npt.NDArray[np.float32], right: npt.NDArray[np.bool_], own: float) -> list[dict[str, Any]]:
    """Answers against coverage by threshold; the ``own`` comes first."""
    rows = accuracy.coverage(p, right, (own, *np.arange(0.2, 1.0, 0.05).round(2)))
    return [{key: value if value is None else round(value, 4) for key, value in row.items()} for row in rows]


def _abstention(engine: Engine, bundle: Bundle, data: ferplus.FerPlus) -> dict[str, Any]:
    """How often a picture that is not a clear face gets "uncertain", at the bundle's threshold."""
    rng, size = np.random.default_rng(2), data.images.shape[1]
    most = np.where(data.fold <= data.report, data.votes.argmax(axis=1), -1)
    images = data.images[data.fold == data.report]
    ramp = np.linspace(0, 12, size)
    waves = [np.add.outer(ramp * a, ramp * b) for a, b in rng.uniform(-3, 3, (200, 2))]
    kinds = {
        # Of every fold that may be read: without votes for an emotion none was a target in training.
        "pictures that voters called no face": data.images[most == ferplus.NOT_A_FACE],
        'faces that voters called "unknown"': data.images[most == ferplus.UNKNOWN],
        "drawn faces": golden.draw(200, size, rng)[:, -1],
        "noise (a kind that training shows)": rng.integers(0, 256, (200, size, size)).astype(np.uint8),
        "stripes (a kind that training shows)": (127 + 120 * np.sin(waves)).astype(np.uint8),
        "faces of 12 pixels": np.stack([degrade.shrink(image, 12) for image in images[:200]]),
        "squares of 8 photographs and pages without a face": _photographs(size, rng),
    }
    decision = Decision(bundle.labels, bundle.manifest.temperature, 0, 0)
    shares = {}
    for name, pictures in kinds.items():
        if len(pictures):
            p = decision.probabilities(accuracy.still_logits(engine, bundle, pictures)[:, -1])
            share = float((p.max(axis=1) < bundle.manifest.abstain_below).mean())
            shares[name] = {"n": len(pictures), "uncertain": round(share, 4)}
    return shares


def _photographs(size: int, rng: np.random.Generator) -> Uint8:
    """Squares (200,size,size) cut from pictures of scikit-image that show no face."""
    from skimage import data

    shown = [data.brick, data.coffee, data.coins, data.gravel, data.grass, data.moon, data.page, data.rocket]
    squares = []
    for at in range(200):
        picture: Uint8 = shown[at % len(shown)]()  # type: ignore[no-untyped-call]
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == 3 else picture
        side = int(rng.integers(size, min(gray.shape)))
        y, x = (int(rng.integers(0, edge - side + 1)) for edge in gray.shape)
        squares.append(
            cv2.resize(gray[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA)
        )
    return np.stack(squares).astype(np.uint8)
