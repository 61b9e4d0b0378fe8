"""Real face sequences: what the tracker hands the network, taken from videos, folders or a camera."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration import calibration_set
from calibration.sequences import SequenceRecipe, generate
from edge import config, session
from edge.capture.addresses import without_password
from edge.errors import ConfigError, EdgeError
from edge.faces.crop import crop_faces
from edge.protocols import FaceDetector
from edge.recognition.recognizer import is_due

Uint8 = npt.NDArray[np.uint8]


def face_sequences(
    source: str, manifest: dict[str, Any], detector: str = "", max_frames: int | None = None
) -> list[Uint8]:
    """Crops (n,S,S) of each track of ``source`` at the manifest's step rate, longest track first.

    ``source`` is what ``emotion-edge run`` takes, ``detector`` the path of a YuNet file or empty.
    """
    with session.detector(config.load(None, [f"detector.model={detector}"]), Path()) as finder:
        return track_crops(source, manifest, finder, max_frames)


def track_crops(
    source: str, manifest: dict[str, Any], finder: FaceDetector, max_frames: int | None = None
) -> list[Uint8]:
    """As ``face_sequences``, with a detector that serves many sources."""
    tracks: dict[int, list[Uint8]] = {}
    settings = config.merge(config.Config(), {"source": {"address": source}})
    if max_frames is None and session.is_live(settings):
        raise ConfigError(f"{without_password(source)} never ends; pass --max-frames")
    with session.source(settings) as camera:
        tracker = session.tracker(settings, finder)
        for frame in islice(camera.frames(), max_frames):
            seen = tracker.update(finder.detect(frame), frame.timestamp_s)
            now_s = frame.timestamp_s
            due = [track for track in seen if is_due(track.last_step_s, now_s, manifest["step_hz"])]
            for track, crop in zip(due, crop_faces(frame, [t.face for t in due], manifest), strict=True):
                track.last_step_s = now_s
                tracks.setdefault(track.id, []).append(crop)
    return sorted((np.stack(crops) for crops in tracks.values()), key=len, reverse=True)


def load_sequences_of(
    data: str, manifest: dict[str, Any], detector: str = "", max_frames: int | None = None
) -> list[Uint8]:
    """Sequences (T,S,S) of a calibration set, an .npz, or anything that has faces.

    An .npz holds ``crops`` (M,T,S,S), or ``images`` (N,S,S) with ``labels`` (N,), 0 = neutral, from which
    sequences are generated.
    """
    if (Path(data) / "set.json").is_file():
        return calibration_set.read(Path(data))[0]
    if not data.endswith(".npz"):
        return face_sequences(data, manifest, detector, max_frames)
    try:
        with np.load(data) as archive:
            if "crops" in archive:
                return list(archive["crops"])
            images, labels = archive["images"], archive["labels"]
    except (OSError, KeyError, ValueError) as error:
        raise EdgeError(f"{data} holds neither 'crops' nor 'images' and 'labels': {error}") from error
    rng = np.random.default_rng(0)
    return [generate(images, labels, rng, SequenceRecipe()).crops for _ in range(min(len(images), 200))]


def load_sequences(data: str, manifest: dict[str, Any], count: int, steps: int) -> Uint8:
    """Sequences (count,steps,S,S) from an .npz with ``crops`` (M,T,S,S), or from anything that has faces.

    Where there are fewer or shorter ones, each serves several times from different beginnings, and goes on
    from its end backwards and forwards, so that no step jumps.
    """
    found = load_sequences_of(data, manifest)
    if not found:
        raise EdgeError(
            f"no face was found in {without_password(data)}; pass --data with faces of at least 48 pixels"
        )
    rows = []
    for number in range(count):
        sequence = found[number % len(found)]
        first = number // len(found) * max(len(sequence) * len(found) // count, 1)
        rows.append(sequence[_there_and_back(len(sequence), first, steps)])
    return np.stack(rows)


def _there_and_back(length: int, first: int, steps: int) -> npt.NDArray[np.int64]:
    """``steps`` indices, from ``first`` on, of the walk 0, 1, ..., length-1, length-2, ..., 0, 1, ..."""
    period = max(2 * length - 2, 1)
    at = np.arange(first, first + steps) % period
    return np.where(at < length, at, period - at)
