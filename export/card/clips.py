"""How steady the answers are on real video, which has no labels: the recurrent step beside smoothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.collect import finder, track_crops
from edge import session
from edge.bundle import Bundle
from edge.config import Config, SourceConfig
from edge.engines.golden import roll
from edge.engines.ort import OrtEngine
from edge.errors import EdgeError
from edge.recognition.decision import Decision
from edge.system.hashing import sha256
from export.card import per_frame
from export.metrics import accuracy, smoothing

SHORTEST = 10  # steps of a track that counts
LONGEST = 1200  # frames of a clip
Float32 = npt.NDArray[np.float32]


def check_clips(clips: Sequence[Path], detector: str = "") -> None:
    """EdgeError where ``on_clips`` could not begin, or two clips have one name: it labels their figures."""
    for clip in clips:
        if not clip.is_file():
            raise EdgeError(f"no clip {clip}; pass --clips the paths of videos")
    names = [clip.name for clip in clips]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise EdgeError(f"two clips are called {min(twice)}; rename one, because figures are listed by name")
    for clip in clips:
        with session.parts(Config(source=SourceConfig(address=str(clip)))) as video:
            next(iter(video.frames), None)
    if detector:
        with finder(detector=detector) as faces:
            _ = faces.detector  # opens it


def on_clips(
    bundle: Bundle,
    clips: Sequence[Path],
    share: float,
    temperature: float,
    detector: str = "",
    *,
    crops_of: Callable[..., Sequence[npt.NDArray[np.uint8]]] = track_crops,
    baseline: Callable[[Float32], Float32] | None = None,
) -> dict[str, Any]:
    """Per clip: tracks, steps, label changes per 100 steps of each method, share of "uncertain" steps.

    ``share`` is that of the newest step in the exponential smoothing, ``temperature`` that of the head
    without memory: ``baseline``, or that of the bundle. ``detector`` is the path of a YuNet file, or empty.
    ``crops_of`` gives the faces of a clip, track by track. Steadiness alone is no merit: an answer that never
    changes is steadiest. Compare the delays on generated sequences.
    """
    engine, baseline = OrtEngine(bundle.model("fp32"), threads=2), baseline or per_frame.load(bundle)
    own_t = bundle.manifest.temperature
    decision, raw = (Decision(bundle.labels, t, 0, 0) for t in (own_t, temperature))
    measured = {}
    with finder(bundle, detector) as faces:
        for clip in clips:
            every_track = crops_of(str(clip), bundle.manifest, faces, LONGEST)
            tracks = [track for track in every_track if len(track) >= SHORTEST]
            changes = {"recurrent": 0, "per frame": 0, f"per frame, EMA {share:g}": 0}
            unsure = 0
            for crops in (track[None] for track in tracks):
                alone = raw.probabilities(baseline(accuracy.normalized(crops, bundle)))
                own = decision.probabilities(roll(engine, bundle, crops))
                unsure += int((own.max(axis=-1) < bundle.manifest.abstain_below).sum())
                answers = (own.argmax(axis=-1), alone.argmax(axis=-1), smoothing.ema(alone, share))
                for name, answer in zip(changes, answers, strict=True):
                    changes[name] += int((answer[:, 1:] != answer[:, :-1]).sum())
            steps = sum(map(len, tracks))
            rates = {name: round(100 * count / max(steps, 1), 2) for name, count in changes.items()}
            measured[clip.name] = {
                "sha256": sha256(clip),
                "tracks": len(tracks),
                "steps": steps,
                "changes_per_100_steps": rates,
                "uncertain": round(unsure / max(steps, 1), 4),
            }
        return {"detector": type(faces.detector).__name__, "of": measured}
