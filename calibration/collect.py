"""Real face sequences: what the tracker hands the network, taken from videos, folders or a camera."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from calibration import arrays, calibration_set, degrade
from calibration.sequences import SequenceRecipe, generate
from edge import session
from edge.bundle import Bundle
from edge.capture.addresses import without_password
from edge.config import Config, DetectorConfig, SourceConfig
from edge.errors import ConfigError, EdgeError, reason
from edge.faces.crop import crop_faces
from edge.manifest import Manifest
from edge.recognition.gray_source import has_color
from edge.recognition.scheduling import is_due
from edge.session import Parts

Uint8 = npt.NDArray[np.uint8]


class Walk(NamedTuple):
    """Crops (T,S,S), or (T,S,S,3) RGB, and which of them is seen at each step (steps,)."""

    crops: Uint8
    at: npt.NDArray[np.int64]


@contextmanager
def finder(bundle: Bundle | None = None, detector: str = "") -> Iterator[Parts]:
    """Parts whose detector serves many sources: the YuNet file ``detector``, or what a bundle would use."""
    with session.parts(Config(detector=DetectorConfig(model=detector))) as parts:
        if bundle is not None:
            parts.bundle = bundle
        yield parts


def track_crops(source: str, manifest: Manifest, faces: Parts, max_frames: int | None = None) -> list[Uint8]:
    """Crops (n,S,S) of each track of ``source`` at the manifest's step rate, longest track first.

    They are (n,S,S,3) RGB for a network that takes color. ``source`` is what ``emotion-edge run`` takes; the
    faces are found by the detector of ``faces``.
    """
    tracks: dict[int, list[Uint8]] = {}
    tracker = faces.new_tracker()
    settings = SourceConfig(address=source, color=manifest.input.in_color)
    with session.parts(replace(faces.config, source=settings)) as video:
        if max_frames is None and video.live:
            raise ConfigError(f"{without_password(source)} never ends; pass --max-frames")
        for frame in islice(video.frames, max_frames):
            now_s = frame.timestamp_s
            visible = tracker.update(faces.detector.detect(frame), now_s)
            due = [track for track in visible if is_due(track.last_step_s, now_s, manifest.step_hz)]
            crops = crop_faces(frame, [track.face for track in due], manifest.input)
            for track, crop in zip(due, crops, strict=True):
                track.last_step_s = now_s
                tracks.setdefault(track.id, []).append(crop)
    return sorted((np.stack(crops) for crops in tracks.values()), key=len, reverse=True)


def load_sequences_of(
    data: str, manifest: Manifest, detector: str = "", max_frames: int | None = None
) -> list[Uint8]:
    """Sequences of a calibration set, an .npz, or anything that has faces, as the network takes them.

    They are (T,S,S) gray, or (T,S,S,3) RGB for a network that takes color, whose channels are equal where the
    data has none. An .npz holds ``crops`` (M,T,S,S), or ``images`` (N,S,S) with ``labels`` (N,), 0 = neutral,
    from which sequences are generated; in color, RGB is the last axis of each.
    """
    found = _sequences_of(data, manifest, detector, max_frames)
    return [_as_taken(crops, manifest.input.in_color, data) for crops in found]


def _as_taken(crops: Uint8, in_color: bool, data: str) -> Uint8:
    """``crops`` (T,S,S) or (T,S,S,3) with color or without."""
    in_rgb = crops.ndim == 4 and crops.shape[-1] == 3
    if crops.dtype != np.uint8 or not (crops.ndim == 3 or in_rgb):
        raise EdgeError(
            f"{data} holds crops {crops.dtype} {crops.shape}, expected uint8 (T,S,S) or (T,S,S,3)"
        )
    if in_rgb == in_color:
        return crops
    how = cv2.COLOR_GRAY2RGB if in_color else cv2.COLOR_RGB2GRAY
    return np.stack([cv2.cvtColor(crop, how) for crop in crops]).astype(np.uint8)


def _sequences_of(data: str, manifest: Manifest, detector: str, max_frames: int | None) -> list[Uint8]:
    if (Path(data) / "set.json").is_file():
        return calibration_set.read(Path(data))[0]
    if not data.endswith(".npz"):
        with finder(detector=detector) as faces:
            return track_crops(data, manifest, faces, max_frames)
    try:
        found = arrays.load(data)
        if "crops" in found:
            return list(found["crops"])
        images, labels = found["images"], found["labels"]
    except (KeyError, ValueError) as error:
        fault = reason(error) if isinstance(error, ValueError) else f"no {error}"
        raise EdgeError(f"{data} holds neither 'crops' nor 'images' and 'labels': {fault}") from error
    rng = np.random.default_rng(0)
    return [generate(images, labels, rng, SequenceRecipe()).crops for _ in range(min(len(images), 200))]


def load_walks(data: str, manifest: Manifest, count: int, steps: int) -> list[Walk]:
    """``count`` walks of ``steps`` steps over sequences (T,S,S) of anything that ``load_sequences_of`` takes.

    For a network that takes color, sequences without it are tinted, each in another color. Too few sequences
    serve several times, from different beginnings. Too short ones are walked backwards and forwards again, so
    that no step jumps.
    """
    sequences = load_sequences_of(data, manifest)
    if not sequences:
        raise EdgeError(
            f"no face was found in {without_password(data)}; pass --data with faces of at least 48 pixels"
        )
    kept = [sequence[:steps].copy() for sequence in sequences[:count]]  # not a view of all there are
    if manifest.input.in_color:
        kept = [s if has_color(s) else degrade.tint(s[..., 0], at) for at, s in enumerate(kept)]
    walks = []
    for number in range(count):
        sequence = kept[number % len(kept)]
        first = number // len(kept) * max(len(sequence) * len(kept) // count, 1)
        walks.append(Walk(sequence, _there_and_back(len(sequence), first, steps)))
    return walks


def _there_and_back(length: int, first: int, steps: int) -> npt.NDArray[np.int64]:
    """``steps`` indices, from ``first`` on, of the walk 0, 1, ..., length-1, length-2, ..., 0, 1, ..."""
    period = max(2 * length - 2, 1)
    at = np.arange(first, first + steps) % period
    return np.where(at < length, at, period - at)
