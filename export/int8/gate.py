"""The gate: what a quantized file may lose against fp32, on labeled faces and over long streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.sequences import SequenceRecipe, generate
from edge.bundle import Bundle
from edge.config import setting
from edge.config_file import fill, read_toml
from edge.engines import golden
from edge.protocols import Engine
from export.bundle.pages import Check
from export.data.labeled import Labeled
from export.metrics.accuracy import calibration_error, still_logits, uar
from export.metrics.intervals import wilson

STREAMS, STREAM_STEPS = 16, 300


@dataclass(frozen=True)
class Budgets:
    """The most that a quantized file may lose; shares and points of accuracy in 0..1."""

    accuracy_loss: float = setting(0.005, "of all faces")
    class_loss: float = setting(0.02, "of the recall of a class with at least class_n faces")
    class_n: int = setting(50, "fewer faces of a class prove nothing")
    min_cosine: float = setting(0.999, "of logits over 300 steps")
    drift_growth: float = setting(2.0, "error of the last sixth of a stream / of its first sixth")


def read_budgets(path: Path | None) -> Budgets:
    """Defaults, or the TOML file's values; ConfigError names an unknown key."""
    return fill(Budgets, read_toml(path), path.name) if path else Budgets()


def figures(engine: Engine, bundle: Bundle, data: Labeled) -> dict[str, Any]:
    """Accuracy, UAR, per class precision, recall and F1 with n and 95 % interval, ECE; and the logits."""
    logits = still_logits(engine, bundle, data.images)[:, -1]
    known = data.labels >= 0
    answer, wanted = logits.argmax(-1)[known], data.labels[known]
    classes = {}
    for k, name in enumerate(bundle.labels):
        n, predicted = int((wanted == k).sum()), int((answer == k).sum())
        right = int(((wanted == k) & (answer == k)).sum())
        if n:
            classes[name] = {
                "n": n,
                "precision": round(right / predicted, 4) if predicted else 0.0,
                "recall": round(right / n, 4),
                "recall_95": wilson(right, n),
                "f1": round(2 * right / (n + predicted), 4),
            }
    return {
        "n": int(known.sum()),
        "accuracy": float((answer == wanted).mean()),
        "uar": uar(answer == wanted, wanted),
        "ece": calibration_error(logits, data.labels, bundle.manifest.temperature),
        "classes": classes,
        "logits": logits,
    }


def streams(data: Labeled, seed: int = 17) -> npt.NDArray[np.uint8]:
    """Normalized faces (STREAMS,300,C,S,S) of sequences generated from the labeled faces."""
    rng, recipe = np.random.default_rng(seed), SequenceRecipe(steps=STREAM_STEPS)
    return np.stack([generate(data.images, data.labels, rng, recipe).crops for _ in range(STREAMS)])


def compare(
    name: str,
    measured: Mapping[str, Any],
    expected: Mapping[str, Any],
    drift: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    budgets: Budgets,
) -> list[Check]:
    """Checks of one precision: ``measured`` against the figures of fp32, ``drift`` logits (M,T,K) of both."""
    lost = expected["accuracy"] - measured["accuracy"]
    rows = [(f"{name}, accuracy lost", lost, budgets.accuracy_loss)]
    for label, row in expected["classes"].items():
        if row["n"] >= budgets.class_n:
            less = row["recall"] - measured["classes"][label]["recall"]
            rows.append((f"{name}, recall of {label} lost (n={row['n']})", less, budgets.class_loss))
    checks: list[Check] = [(what, f"{v:.2%}", f"<= {top:.2%}", v <= top) for what, v, top in rows]
    a, b = drift
    error = np.abs(a - b).max(axis=-1).mean(axis=0)
    sixth = len(error) // 6
    growth = float(error[-sixth:].mean() / max(float(error[:sixth].mean()), 1e-6))
    worst = golden.compare(a, b).min_cosine
    checks += [
        (f"{name}, min cosine over {len(error)} steps", f"{worst:.5f}", f">= {budgets.min_cosine}",
         worst >= budgets.min_cosine),
        (f"{name}, growth of the error over a stream", f"{growth:.2f}", f"<= {budgets.drift_growth:g}",
         growth <= budgets.drift_growth),
    ]  # fmt: skip
    return checks


def long_runs(
    engines: Mapping[str, Engine], bundle: Bundle, data: Labeled
) -> dict[str, npt.NDArray[np.float32]]:
    """Logits (STREAMS,STREAM_STEPS,K) of every engine over the same generated sequences."""
    crops = streams(data)
    return {name: golden.roll(engine, bundle, crops) for name, engine in engines.items()}


def gate(
    bundle: Bundle, engines: Mapping[str, Engine], data: Labeled, budgets: Budgets
) -> tuple[list[Check], dict[str, dict[str, Any]]]:
    """Checks of every precision of ``engines`` against its "fp32", and the figures of each."""
    measured = {name: figures(engine, bundle, data) for name, engine in engines.items()}
    rolled = long_runs(engines, bundle, data)
    logits = {name: row.pop("logits") for name, row in measured.items()}
    checks = []
    for name in engines:
        if name == "fp32":
            continue
        checks += compare(name, measured[name], measured["fp32"], (rolled[name], rolled["fp32"]), budgets)
        flips = float((logits[name].argmax(-1) != logits["fp32"].argmax(-1)).mean())
        measured[name]["label_flips"] = round(flips, 4)
        measured[name]["max_abs"] = float(np.abs(rolled[name] - rolled["fp32"]).max())
    return checks, measured
