"""How steady the answers are on real video, which has no labels: the recurrent step beside smoothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.collect import face_sequences
from edge.bundle import Bundle
from edge.engines.ort import OrtEngine
from edge.recognition.decision import Decision
from edge.recognition.golden import roll
from export import evaluate, over_time, per_frame

SHORTEST = 10  # steps of a track that counts
LONGEST = 1200  # frames of a clip
_EMA = 0.5


def on_clips(bundle: Bundle, clips: Sequence[Path], detector: str = "") -> dict[str, Any]:
    """Per clip: tracks, steps, and label changes per 10 s of each method over all its tracks.

    Steadiness alone is no merit: an answer that never changes is steadiest. Read it beside the delays on
    generated sequences.
    """
    engine, baseline = OrtEngine(bundle.model("fp32"), threads=2), per_frame.load(bundle)
    decision = Decision(bundle.labels, bundle.manifest["temperature"], 0, 0)
    found = {}
    for clip in clips:
        every_track = face_sequences(str(clip), bundle.manifest, detector, LONGEST)
        tracks = [track for track in every_track if len(track) >= SHORTEST]
        changes = {"recurrent": 0, "per frame": 0, f"per frame, EMA {_EMA:g}": 0}
        for crops in (track[None] for track in tracks):
            alone = decision.probabilities(baseline(evaluate.normalised(crops, bundle)))
            answers = (
                roll(engine, bundle, crops).argmax(axis=-1),
                alone.argmax(axis=-1),
                over_time.ema(alone, _EMA),
            )
            for name, answer in zip(changes, answers, strict=True):
                changes[name] += _changes(answer)
        steps = sum(map(len, tracks))
        per_10_s = 10 * bundle.manifest["step_hz"] / max(steps, 1)
        rates = {name: round(count * per_10_s, 2) for name, count in changes.items()}
        found[clip.name] = {"tracks": len(tracks), "steps": steps, "changes_per_10_s": rates}
    return found


def _changes(answer: npt.NDArray[np.int64]) -> int:
    return int((answer[:, 1:] != answer[:, :-1]).sum())
