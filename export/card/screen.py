"""Runs the shipped pipeline over generated faces or frames and notes what a viewer would see.

Nothing here is a second implementation: detector, tracker, recognizer and decision are those of a run. For
faces that are cut out already, a detector stands in that always finds the box, so that whatever a box without
a face is called is the recognizer's doing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import numpy.typing as npt

from calibration import textures
from edge import session
from edge.config import BundleConfig, Config, DetectorConfig
from edge.data import ANY_FACE, UNCERTAIN, EmotionEstimate, Face, Frame, Search
from edge.errors import EdgeError
from edge.pipeline import Pipeline
from edge.session import Parts
from export.data import datasets
from export.data.ferplus import LABELS
from export.metrics.on_screen import NOTHING, UNSURE, Watched

Uint8 = npt.NDArray[np.uint8]
START_S = 10.0  # time of the first step; frames before it confirm the track
# Of the face square: right eye, left eye, nose, corners of the mouth, as edge.faces.square has them.
_LANDMARKS = np.array([(0.31, 0.39), (0.67, 0.39), (0.49, 0.58), (0.36, 0.74), (0.62, 0.74)], np.float32)


@contextmanager
def watching(folder: Path, detector: str = "", precision: str = "fp32") -> Iterator[Parts]:
    """The parts of a run with the bundle in ``folder``, one thread; EdgeError where it chooses no label."""
    config = Config(
        bundle=BundleConfig(path=str(folder), precision=precision), detector=DetectorConfig(model=detector)
    )
    with session.parts(config) as parts:
        if not parts.decision.meaning.chooses:
            raise EdgeError(
                f"the network of {parts.bundle.manifest.name} chooses no label; pass a bundle that does"
            )
        yield parts


class Held:
    """A detector that finds the same face in every frame."""

    def __init__(self, box: npt.NDArray[np.float32]) -> None:
        points = box[:2] + _LANDMARKS * (box[2] - box[0])
        self._face = Face(box, 0.95, points.astype(np.float32))

    def detect(self, frame: Frame, search: Search = ANY_FACE) -> list[Face]:
        """The face, wherever it has gone."""
        return [self._face]

    def __enter__(self) -> Held:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Notes:
    """Collects the fresh estimates of a run by track, as Watched of the labels by each rule."""

    def __init__(self, parts: Parts) -> None:
        self._labels = list(parts.bundle.labels)
        self._threshold, self._least = parts.decision.meaning.abstain_below, parts.decision.min_face_px

    def of(self, estimate: EmotionEstimate | None) -> tuple[int, int, int, int]:
        """Likeliest class, raw label, shown label and track of one step."""
        if estimate is None:
            return NOTHING, NOTHING, NOTHING, -1
        p = estimate.probabilities
        likeliest = int(p.argmax())
        small = float(estimate.box_xyxy[2] - estimate.box_xyxy[0]) < self._least
        raw = UNSURE if small or p[likeliest] < self._threshold else likeliest
        label = estimate.label
        shown = UNSURE if label is None or label == UNCERTAIN else self._labels.index(label)
        return likeliest, raw, shown, estimate.track_id


def watched(rows: Sequence[tuple[int, int, int, int]]) -> Watched:
    """Steps as ``Notes.of`` gives them."""
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    return Watched(*columns)


def watch_crops(parts: Parts, crops: Uint8, seed: int = 0) -> Watched:
    """What is said of crops (T,S,S) of one face, step by step, through a run's own pipeline.

    Each stands in a frame five sides wide before a wall that does not move. A crop of the size that the
    network takes is taken there number for number; another is resized, to no less than the smallest face.
    """
    rate = parts.bundle.manifest.step_hz
    side = max(parts.bundle.manifest.input.size, ceil(parts.decision.min_face_px))
    if crops.shape[1] != side:
        crops = np.stack([cv2.resize(crop, (side, side)) for crop in crops]).astype(np.uint8)
    wall = textures.room(4 * side, 5 * side, np.random.default_rng(seed))
    place = (slice(side, 2 * side), slice(2 * side, 3 * side))
    box = np.array([2 * side, side, 3 * side, 2 * side], np.float32)
    pipeline, notes = _pipeline(parts, Held(box)), Notes(parts)
    confirm, rows = parts.config.tracker.confirm - 1, []
    for at in range(-confirm, len(crops)):
        picture = wall.copy()
        picture[place] = crops[max(at, 0)]
        time_s = START_S + (at / rate if at >= 0 else 0.01 * at)
        estimates = pipeline.step(Frame(picture, time_s, at + confirm))
        if at >= 0:
            rows.append(notes.of(next((one for one in estimates if one.fresh), None)))
    return watched(rows)


def _pipeline(parts: Parts, detector: Held) -> Pipeline:
    pipeline = parts.new_pipeline()
    pipeline.detector, pipeline.tracker = detector, parts.new_tracker(starts_at=0.0)
    return pipeline


def watch_frames(parts: Parts, frames: Iterable[Frame]) -> list[tuple[Frame, list[EmotionEstimate]]]:
    """Each frame's time and its estimates, through a run's own pipeline; pictures are dropped."""
    pipeline = parts.new_pipeline()
    return [(frame, pipeline.step(frame)) for frame in frames]


def video(frames: Uint8, fps: float) -> Iterator[Frame]:
    """Frames (T,H,W) of a video from its beginning."""
    for at, picture in enumerate(frames):
        yield Frame(picture, START_S + at / fps, at)


def truth_of(parts: Parts, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Labels (N,) of FER+ as places among the bundle's own; NOTHING where it does not know one."""
    names = datasets.canonical(parts.bundle.labels)
    place = [names.index(name) if name in names else NOTHING for name in LABELS]
    return np.array([*place, NOTHING], np.int64)[labels]


def by_track(parts: Parts, seen: Iterable[Sequence[EmotionEstimate]]) -> list[Watched]:
    """The fresh estimates of every track of a video, in order."""
    notes, tracks = Notes(parts), defaultdict(list)
    for estimates in seen:
        for one in estimates:
            if one.fresh:
                tracks[one.track_id].append(notes.of(one))
    return [watched(rows) for rows in tracks.values()]
