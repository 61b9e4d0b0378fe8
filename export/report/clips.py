"""How steady the answers are on real video, which has no labels: the recurrent step beside smoothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calibration.collect import track_crops
from edge import build, config
from edge.bundle import Bundle
from edge.engines.ort import OrtEngine
from edge.recognition.decision import Decision
from edge.recognition.golden import roll
from export.report import evaluate, over_time, per_frame

SHORTEST = 10  # steps of a track that counts
LONGEST = 1200  # frames of a clip


def on_clips(bundle: Bundle, clips: Sequence[Path], share: float, detector: str = "") -> dict[str, Any]:
    """Per clip: tracks, steps, and label changes per 100 steps of each method over all its tracks.

    ``share`` is that of the newest step in the exponential smoothing, ``detector`` the path of a YuNet file
    or empty. Steadiness alone is no merit: an answer that never changes is steadiest. Read it beside the
    delays on generated sequences.
    """
    engine, baseline = OrtEngine(bundle.model("fp32"), threads=2), per_frame.load(bundle)
    decision = Decision(bundle.labels, bundle.manifest["temperature"], 0, 0)
    found = {}
    with build.detector(config.load(None, [f"detector.model={detector}"]), bundle.folder) as finder:
        for clip in clips:
            every_track = track_crops(str(clip), bundle.manifest, finder, LONGEST)
            tracks = [track for track in every_track if len(track) >= SHORTEST]
            changes = {"recurrent": 0, "per frame": 0, f"per frame, EMA {share:g}": 0}
            for crops in (track[None] for track in tracks):
                alone = decision.probabilities(baseline(evaluate.normalised(crops, bundle)))
                answers = (
                    roll(engine, bundle, crops).argmax(axis=-1),
                    alone.argmax(axis=-1),
                    over_time.ema(alone, share),
                )
                for name, answer in zip(changes, answers, strict=True):
                    changes[name] += int((answer[:, 1:] != answer[:, :-1]).sum())
            steps = sum(map(len, tracks))
            rates = {name: round(100 * count / max(steps, 1), 2) for name, count in changes.items()}
            found[clip.name] = {"tracks": len(tracks), "steps": steps, "changes_per_100_steps": rates}
    return {"detector": type(finder).__name__, "of": found}
