"""The recurrent step beside smoothed per-frame answers, on sequences of stills that training never saw."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.sequences import SequenceRecipe, generate
from edge.bundle import Bundle
from edge.engines.golden import roll
from edge.protocols import Engine
from edge.recognition.decision import Decision
from edge.recognition.scheduling import is_due
from export.card import per_frame
from export.metrics import accuracy, smoothing

SEQUENCES = 300
DROPPED = 0.3
CAMERA_HZ = 30
SLOWEST_HZ = 4
Uint8 = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


def measure(engine: Engine, bundle: Bundle, images: Uint8, labels: Labels) -> dict[str, Any]:
    """``over_time.compare`` by condition, for stills (N,S,S) with labels (N,), -1 = none.

    ``forgetful`` is the recurrent step from the zero state in every frame; ``faultless`` the share of steps
    that would be right if each gave the answer that its still gets, unspoiled, after eight equal steps.
    ``per_frame_temperature``, of the head without memory, is fitted on the first condition.
    """
    rng, baseline = np.random.default_rng(11), per_frame.load(bundle)
    untouched = accuracy.still_logits(engine, bundle, images)[:, -1].argmax(axis=1) == labels

    def sequences(steps: int) -> tuple[Uint8, Labels]:
        parts = [generate(images, labels, rng, SequenceRecipe(steps=steps)) for _ in range(SEQUENCES)]
        return np.stack([part.crops for part in parts]), np.stack([part.still for part in parts])

    steps, step_hz = SequenceRecipe().steps, bundle.manifest.step_hz
    crops, still = sequences(steps)
    alone = baseline(accuracy.normalized(crops, bundle)).reshape(-1, len(bundle.labels))
    # What suits the baseline best, for its smoothing depends on it.
    temperature = accuracy.fit_temperature(alone, labels[still].ravel())
    own, fitted = (Decision(bundle.labels, t, 0, 0) for t in (bundle.manifest.temperature, temperature))

    def compare(crops: Uint8, kept: Labels, still: Labels) -> dict[str, Any]:
        """All see the ``kept`` (M,T') of ``crops`` (M,F,S,S), and hold their answers in between."""
        frames, ticks = crops.shape[1], still.shape[1]
        shown = np.stack([one[np.minimum(rows, frames - 1)] for one, rows in zip(crops, kept, strict=True)])
        apart = accuracy.still_logits(engine, bundle, shown.reshape(-1, *shown.shape[2:]), steps=1)
        answers = (
            own.probabilities(roll(engine, bundle, shown)),
            own.probabilities(apart.reshape(*kept.shape, -1)),
            fitted.probabilities(baseline(accuracy.normalized(shown, bundle))),
        )
        recurrent, forgetful, alone = answers
        asked, truth = smoothing.shown_at(kept, np.arange(ticks) * frames // ticks), labels[still]
        return {
            **smoothing.compare(recurrent, alone, asked, truth),
            "per_frame_temperature": temperature,
            "forgetful": smoothing.measures(smoothing.standing(forgetful, asked).argmax(axis=-1), truth),
            "faultless": round(float(untouched[still].mean()), 4),
        }

    every = np.tile(np.arange(steps), (SEQUENCES, 1))
    lossy = smoothing.kept_steps(SEQUENCES, steps, DROPPED, rng)
    shaken = np.stack([smoothing.unseen(sequence, rng) for sequence in crops])

    seconds = steps / step_hz
    frames, frame_still = sequences(round(seconds * CAMERA_HZ))
    at_ticks = frame_still[:, np.arange(steps) * frames.shape[1] // steps]
    return {
        "generated": compare(crops, every, still),
        f"{DROPPED:.0%} of the frames lost": compare(crops, lossy, still),
        "unseen camera and faults": compare(shaken, every, still),
        f"{CAMERA_HZ} frames a second": compare(frames, _due(seconds, CAMERA_HZ, step_hz, rng), at_ticks),
        f"{SLOWEST_HZ} to {CAMERA_HZ} a second at random": compare(
            frames, _due(seconds, SLOWEST_HZ, step_hz, rng), at_ticks
        ),
    }


def _due(seconds: float, slowest_hz: float, step_hz: float, rng: np.random.Generator) -> Labels:
    """Frames (SEQUENCES,T') of which the runtime makes steps, where gaps are log-uniform up to 1/slowest_hz.

    Rows are padded with a frame after the end, which nothing reads.
    """
    rows, end = [], round(seconds * CAMERA_HZ)
    for _ in range(SEQUENCES):
        now, last, row = 0.0, None, []
        while (frame := int(now * CAMERA_HZ + 1e-6)) < end:
            if is_due(last, now, step_hz):
                row.append(frame)
                last = now
            now += float(np.exp(rng.uniform(-np.log(CAMERA_HZ), -np.log(slowest_hz))))
        rows.append(row)
    longest = max(map(len, rows))
    return np.array([row + [end] * (longest - len(row)) for row in rows], np.int64)
