"""Figures of a step graph on labeled stills and generated sequences, through the engine that serves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.bundle import Bundle
from edge.engines.golden import roll
from edge.errors import require
from edge.preprocess import normalize_crops
from edge.protocols import Engine
from edge.recognition.decision import Decision
from export import INSTALL

STILL_STEPS = 8  # a still is scored after this many equal steps from the zero state
ECE_BINS = 15
HIGHEST_THRESHOLD = 0.9
_BATCH = 256
Float32 = npt.NDArray[np.float32]


def still_logits(
    engine: Engine, bundle: Bundle, images: npt.NDArray[np.uint8], steps: int = STILL_STEPS
) -> Float32:
    """Logits (M,steps,K) of stills held for ``steps`` equal steps from the zero state.

    The stills are (M,H,W) gray or (M,H,W,3) RGB.
    """
    parts = []
    for at in range(0, len(images), _BATCH):
        part = images[at : at + _BATCH]
        held = np.broadcast_to(part[:, None], (len(part), steps, *part.shape[1:]))
        parts.append(roll(engine, bundle, held))
    return np.concatenate(parts) if parts else np.zeros((0, steps, len(bundle.labels)), np.float32)


def uar(right: npt.NDArray[np.bool_], wanted: npt.NDArray[np.int64]) -> float:
    """Unweighted average recall: what share is ``right`` (N,), averaged over the classes of ``wanted``."""
    return float(np.mean([right[wanted == k].mean() for k in np.unique(wanted)]))


def score(logits: Float32, labels: npt.NDArray[np.int64], names: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy, unweighted average recall and per-class recall with n, over rows with a label >= 0."""
    rows = labels >= 0
    wanted, answer = labels[rows], logits[rows].argmax(axis=-1)
    right = answer == wanted
    recall = {
        name: {"n": int((wanted == k).sum()), "recall": round(float(right[wanted == k].mean()), 4)}
        for k, name in enumerate(names)
        if (wanted == k).any()
    }
    return {
        "n": int(rows.sum()),
        "accuracy": round(float(right.mean()), 4),
        "uar": round(uar(right, wanted), 4),
        "classes": recall,
    }


def likelihood(logits: Float32, labels: npt.NDArray[np.int64], temperature: float) -> npt.NDArray[np.float64]:
    """Log likelihood (N,) of the labels (N,) >= 0 under the softmax of ``logits`` (N,K) / ``temperature``."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    own: npt.NDArray[np.float64] = scaled[np.arange(len(labels)), labels]
    return own - np.log(np.exp(scaled).sum(axis=1))


def fit_temperature(
    logits: Float32, labels: npt.NDArray[np.int64], bounds: tuple[float, float] = (0.3, 3.0)
) -> float:
    """Temperature with the least negative log likelihood of labels >= 0 (Guo et al., ICML 2017).

    The likelihood is concave in its inverse, so there is one best within ``bounds``; it is one of these where
    the labels know no bound, as where every answer is right.
    """
    rows = labels >= 0
    least, most = (float(end) for end in np.log(bounds))

    def loss(exponent: float) -> float:
        return -float(likelihood(logits[rows], labels[rows], np.exp(exponent)).mean())

    found = require("scipy.optimize", INSTALL).minimize_scalar(loss, bounds=(least, most)).x
    return round(float(np.exp(min((least, found, most), key=loss))), 4)


def fit_threshold(
    logits: Float32, labels: npt.NDArray[np.int64], temperature: float, strange: Float32, wanted: float = 0.9
) -> float:
    """Smallest threshold on the largest probability that reaches ``wanted`` twice, or HIGHEST_THRESHOLD.

    As many of the answers to faces are right (``logits`` (N,K), ``labels`` (N,)), and as many pictures
    without a face (``strange`` (M,K)) get none.
    """
    rows, decision = labels >= 0, Decision((), temperature, 0, 0)
    p = decision.probabilities(logits[rows])
    surest = decision.probabilities(strange).max(axis=1)
    thresholds = np.arange(0.2, HIGHEST_THRESHOLD, 0.01).tolist()
    silent = [threshold for threshold in thresholds if (surest < threshold).mean() >= wanted]
    for row in coverage(p, p.argmax(axis=1) == labels[rows], silent):
        if row["answered"] and row["accuracy"] >= wanted:
            return round(row["threshold"], 2)
    return HIGHEST_THRESHOLD


def coverage(p: Float32, right: npt.NDArray[np.bool_], thresholds: Iterable[float]) -> list[dict[str, Any]]:
    """By threshold on the largest of ``p`` (N,K): share of faces answered, share of these answers ``right``.

    The risk-coverage curve of El-Yaniv and Wiener (JMLR 11, 2010), as in Geifman and El-Yaniv (NeurIPS 2017).
    """
    sure, rows = p.max(axis=1), []
    for threshold in thresholds:
        answered = sure >= threshold
        share = float(right[answered].mean()) if answered.any() else None
        rows.append({"threshold": float(threshold), "answered": float(answered.mean()), "accuracy": share})
    return rows


def reliability(
    logits: Float32, labels: npt.NDArray[np.int64], temperature: float, bins: int = ECE_BINS
) -> list[dict[str, Any]]:
    """Faces, mean of the largest probability and share of right answers in bins of equal mass."""
    rows = labels >= 0
    p = Decision((), temperature, 0, 0).probabilities(logits[rows])
    right, sure = p.argmax(axis=1) == labels[rows], p.max(axis=1)
    parts = np.array_split(np.argsort(sure), min(bins, len(sure)))
    return [{"n": len(b), "sure": float(sure[b].mean()), "right": float(right[b].mean())} for b in parts]


def calibration_error(
    logits: Float32, labels: npt.NDArray[np.int64], temperature: float, bins: int = ECE_BINS
) -> float:
    """Expected calibration error over bins of equal mass (Nixon et al., CVPR workshops 2019)."""
    found = reliability(logits, labels, temperature, bins)
    faces = sum(b["n"] for b in found)
    return round(sum(b["n"] * abs(b["right"] - b["sure"]) for b in found) / faces, 4)


def normalized(sequences: npt.NDArray[np.uint8], bundle: Bundle) -> Float32:
    """Network input (M,T,C,S,S) of sequences (M,T,S,S) or (M,T,S,S,3) RGB."""
    return np.stack([normalize_crops(crops, bundle.manifest) for crops in sequences])
