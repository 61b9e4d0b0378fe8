"""Does memory earn its place? The recurrent step against per-frame answers with the best smoothing.

All of them see the same degraded frames through the same encoder; the per-frame head is trained on such
frames, too. Smoothing is tried at every strength, so that each method shows its own best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration import degrade
from export.metrics.intervals import RESAMPLES, middle

Probabilities = npt.NDArray[np.float32]  # (M,T,K)
Labels = npt.NDArray[np.int64]  # (M,T)
Smooth = Callable[[Probabilities, float], Labels]
EMA = (1.0, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.12)
WINDOWS = (3, 5, 7, 9, 13)
STAY = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)


def measures(answer: Labels, truth: Labels) -> dict[str, float]:
    """Accuracy per step, needless label changes per sequence, delay after a true change in steps.

    A change is needed where it brings the true label for the first time since that became true; a missed
    one does not offset a needless one. The delay lasts until the new label is given for the first time, at
    most until it is no longer true.
    """
    needless, delays = 0, []
    for given, wanted in zip(answer, truth, strict=True):
        changed = np.flatnonzero(given[1:] != given[:-1]) + 1
        starts = np.flatnonzero(wanted[1:] != wanted[:-1]) + 1
        needless += len(changed)
        for begin, end in pairwise([0, *starts, len(wanted)]):
            hits = np.flatnonzero(given[begin:end] == wanted[begin])
            needless -= len(hits) > 0 and begin + hits[0] in changed
            if begin:
                delays.append(int(hits[0]) if len(hits) else int(end - begin))
    return {
        "accuracy": round(float((answer == truth).mean()), 4),
        "extra_changes": round(needless / len(truth), 2),
        "delay_steps": round(float(np.mean(delays)), 2) if delays else 0.0,
    }


def ema(p: Probabilities, share: float) -> Labels:
    """Exponential smoothing with ``share`` of the newest step."""
    mean = p[:, 0].copy()
    labels = [mean.argmax(axis=-1)]
    for now in p[:, 1:].swapaxes(0, 1):
        mean += share * (now - mean)
        labels.append(mean.argmax(axis=-1))
    return np.stack(labels, axis=1)


def majority_window(p: Probabilities, width: float) -> Labels:
    """The label that most of the last ``width`` steps gave; of two, the one with more probability."""
    votes = np.eye(p.shape[-1])[p.argmax(axis=-1)] + 1e-3 * p
    sums, width = np.cumsum(votes, axis=1), int(width)
    sums[:, width:] -= sums[:, :-width].copy()
    return np.asarray(sums.argmax(axis=-1), np.int64)


def hidden_markov(p: Probabilities, stay: float) -> Labels:
    """Forward filtering with classes that stay with probability ``stay`` (Rabiner, Proc. IEEE 1989)."""
    classes = p.shape[-1]
    moves = np.full((classes, classes), (1 - stay) / (classes - 1))
    np.fill_diagonal(moves, stay)
    belief = p[:, 0].astype(np.float64)
    labels = [belief.argmax(axis=-1)]
    for now in p[:, 1:].swapaxes(0, 1):
        belief = (belief @ moves) * now
        belief /= belief.sum(axis=-1, keepdims=True)
        labels.append(belief.argmax(axis=-1))
    return np.stack(labels, axis=1)


def methods(shares: npt.NDArray[Any]) -> dict[str, tuple[Smooth, Sequence[float]]]:
    """Every smoothing with the strengths to try; ``shares`` (K,): mean probability of each class."""
    shares = np.maximum(shares, 1e-6)  # p / shares goes with likelihood
    return {
        "EMA": (ema, EMA),
        "majority": (majority_window, WINDOWS),
        "HMM": (hidden_markov, STAY),
        "HMM, likelihoods": (lambda p, stay: hidden_markov(p / shares, stay), STAY),
    }


def compare(
    recurrent: Probabilities, per_frame: Probabilities, shown: Labels, truth: Labels
) -> dict[str, Any]:
    """Every point of every method, and how far the recurrent step is ahead of the best smoothing.

    Both gave answers (M,T',K) to the frames they saw; ``shown`` (M,T) is the answer that stands at each step
    of ``truth`` (M,T). Smoothing takes each answer once, or as often as it stands: what is more accurate.
    ``points_ahead`` is against the smoothing with the best accuracy; ``delay_share`` is the recurrent
    step's delay over the least delay of any smoothing that is at least as steady; None where there is none.
    """
    held = standing(per_frame, shown)
    shares = held.mean(axis=(0, 1))

    def best_of(smooth: Smooth, at: float) -> Labels:
        once, repeated = np.take_along_axis(smooth(per_frame, at), shown, axis=1), smooth(held, at)
        return max(once, repeated, key=lambda labels: float((labels == truth).mean()))

    answers = {
        kind: {at: best_of(smooth, at) for at in ats} for kind, (smooth, ats) in methods(shares).items()
    }
    curves = {
        kind: [{"at": at, **measures(labels, truth)} for at, labels in by.items()]
        for kind, by in answers.items()
    }
    own_held = standing(recurrent, shown)
    labels = own_held.argmax(axis=-1)
    own = measures(labels, truth)
    smoothed: list[dict[str, Any]] = [
        {"kind": kind, **point} for kind, curve in curves.items() for point in curve
    ]
    best = max(smoothed, key=lambda point: point["accuracy"])
    ahead = [(one == truth).mean(axis=1) for one in (labels, answers[best["kind"]][best["at"]])]
    as_steady = [p["delay_steps"] for p in smoothed if p["extra_changes"] <= own["extra_changes"]]
    quickest = min(as_steady, default=0.0)
    return {
        "n": len(truth),
        "recurrent": own,
        "recurrent_smoothed": [{"at": a, **measures(ema(own_held, a), truth)} for a in EMA],
        "per_frame": measures(held.argmax(axis=-1), truth),
        "smoothing": curves,
        "best_smoothing": best,
        "points_ahead": round(100 * (own["accuracy"] - best["accuracy"]), 2),
        "points_ahead_95": _interval(100 * (ahead[0] - ahead[1])),
        "delay_share": round(own["delay_steps"] / quickest, 3) if quickest else None,
    }


def _interval(values: npt.NDArray[np.float64]) -> list[float]:
    """Of the mean of ``values`` (M,), over draws of them."""
    at = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    return middle(values[at].mean(axis=1))


def unseen(crops: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """What training never shows: a hand-held camera that jolts, motion blur, lost stripes; (T,S,S)."""
    side = crops.shape[1]
    shift, angle = np.zeros(2), 0.0
    out = np.empty_like(crops)
    for at, crop in enumerate(crops):
        shift, angle = 0.8 * shift + rng.normal(0, 0.012, 2), 0.8 * angle + float(rng.normal(0, 1.2))
        if rng.random() < 0.06:
            shift = rng.uniform(-0.12, 0.12, 2)
        now = degrade.warp(crop, angle, 1.0, (float(shift[0]), float(shift[1])))
        if rng.random() < 0.15:
            now = _motion_blur(now, int(rng.integers(3, 8)), float(rng.uniform(0, 180)))
        if rng.random() < 0.1:
            first = int(rng.integers(0, side - 4))
            now[first : first + int(rng.integers(3, side // 3))] = now[first]
        out[at] = now
    return out


def _motion_blur(image: npt.NDArray[np.uint8], length: int, angle: float) -> npt.NDArray[np.uint8]:
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    center = ((length - 1) / 2, (length - 1) / 2)
    kernel = np.asarray(cv2.warpAffine(kernel, cv2.getRotationMatrix2D(center, angle, 1), (length, length)))
    return np.asarray(cv2.filter2D(image, -1, kernel / max(float(kernel.sum()), 1e-6)), np.uint8)


def kept_steps(count: int, steps: int, lost: float, rng: np.random.Generator) -> Labels:
    """Which steps (M,T') of each sequence arrive where a share ``lost`` is dropped; the first always does."""
    left = max(round(steps * (1 - lost)), 1)
    rows = [np.sort(rng.permutation(np.arange(1, steps))[: left - 1]) for _ in range(count)]
    return np.stack([np.concatenate([[0], row]) for row in rows])


def shown_at(kept: Labels, asked: Labels) -> Labels:
    """Which of the answers to the ``kept`` frames (M,T') stands at each of the ``asked`` (T,): (M,T)."""
    return np.stack([np.searchsorted(row, asked, side="right") - 1 for row in kept])


def standing(p: Probabilities, shown: Labels) -> Probabilities:
    """Answers (M,T',K), as ``shown`` (M,T) by their places: (M,T,K)."""
    return np.take_along_axis(p, shown[:, :, None], axis=1)
