"""A bundle on somebody's labeled set: every clip through the runtime's own detector, tracker and crop."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.collect import finder, track_crops
from edge import session
from edge.bundle import Bundle, load
from edge.capture.picture_files import read_picture
from edge.capture.picture_headers import SUFFIXES
from edge.config import Config, SourceConfig
from edge.data import Face, Frame
from edge.engines.golden import roll
from edge.errors import EdgeError
from edge.faces.crop import crop_faces
from edge.protocols import Engine
from edge.recognition.decision import Decision
from edge.recognition.scheduling import is_due
from edge.session import Parts
from edge.system.progress import with_progress
from export.data import datasets
from export.data.datasets import Clip
from export.data.labeled import check_chooses, need_labeled
from export.int8.reference_engine import reference_engines
from export.metrics.accuracy import STILL_STEPS, still_logits
from export.metrics.set_report import report

log = logging.getLogger("export")
Uint8 = npt.NDArray[np.uint8]
Answers = dict[str, npt.NDArray[np.float32]]


def evaluate(
    folder: Path, kind: str, root: Path, limit: int | None = None, cropped: bool = False, detector: str = ""
) -> dict[str, Any]:
    """Figures of every precision of the bundle on a set; ``cropped`` pictures are faces already.

    ``detector`` is the path of a YuNet file, or empty for the fetched one.
    """
    if detector and (cropped or kind == "ferplus"):
        raise EdgeError("these pictures are faces already; leave --detector out")
    if cropped and kind == "ferplus":
        raise EdgeError("FER+ is cropped as it is; leave --cropped out")
    bundle, detected_by = load(folder), None
    check_chooses(bundle)
    about = bundle.manifest
    engines, names = reference_engines(bundle), datasets.canonical(bundle.labels)
    if kind == "ferplus":
        data = need_labeled(root, bundle)
        rows = some(np.flatnonzero(data.labels >= 0), limit)
        clips = [Clip(root, names[k]) for k in data.labels[rows]]
        logits = {name: still_logits(e, bundle, data.images[rows])[:, -1] for name, e in engines.items()}
        answers = {name: _decision(bundle).probabilities(each) for name, each in logits.items()}
    else:
        known = _known(datasets.read(kind, root, cropped), names)
        clips = [known[at] for at in some(np.arange(len(known)), limit)]
        with finder(bundle, detector) as faces:
            answers = _answers(clips, bundle, engines, None if cropped else faces)
            detected_by = None if cropped else type(faces.detector).__name__
    figures = {
        "dataset": kind,
        "bundle": {"name": about.name, "version": about.version, "sha256": about.files["fp32"].sha256},
        "detector": detected_by,
        "clips": len(clips),
        "without_a_face": int(np.isnan(next(iter(answers.values()))[:, 0]).sum()),
        "precisions": {name: report(p, clips, names) for name, p in answers.items()},
    }
    if figures["without_a_face"] == len(clips):
        raise EdgeError(f"no face was found in any of the {len(clips)} clips of {root}")
    return figures


def some(rows: npt.NDArray[np.int64], limit: int | None) -> npt.NDArray[np.int64]:
    """``limit`` of the rows at random, or all of them."""
    if limit is None or limit >= len(rows):
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, limit, replace=False))


def _known(clips: list[Clip], names: Sequence[str]) -> list[Clip]:
    known = [clip for clip in clips if clip.label in names]
    if len(known) < len(clips):
        log.warning(
            "%d clips carry a label that the bundle does not know; they are left out", len(clips) - len(known)
        )
    if not known:
        raise EdgeError(f"the bundle knows none of the set's labels; its own are {', '.join(names)}")
    return known


def _decision(bundle: Bundle) -> Decision:
    return Decision(bundle.labels, bundle.manifest.temperature, 0, 0)


def _answers(
    clips: Sequence[Clip], bundle: Bundle, engines: Mapping[str, Engine], faces: Parts | None
) -> Answers:
    """Probabilities (M,K) of each precision: mean over a clip's steps, NaN where no face was found."""
    answers: Answers = {
        name: np.full((len(clips), len(bundle.labels)), np.nan, np.float32) for name in engines
    }
    for at, clip in enumerate(with_progress(clips, len(clips), "clips")):
        crops = _crops(clip.path, bundle, faces)
        if len(crops):
            for name, engine in engines.items():
                logits = roll(engine, bundle, crops[None])[0]
                answers[name][at] = _decision(bundle).probabilities(logits).mean(axis=0)
    return answers


def _crops(path: Path, bundle: Bundle, faces: Parts | None) -> Uint8:
    """Crops (T,S,S) of one face, none where there is none or the clip cannot be read.

    A still is held for eight steps. Of a video it is the face that is seen longest, of a still the largest;
    where ``faces`` is None, each picture is a face as a whole.
    """
    is_still = path.suffix.lower() in SUFFIXES
    try:
        if faces is None:
            crops = _whole([still(path)] if is_still else _frames(path), bundle)
        elif is_still:
            frame = still(path)
            crops = crop_faces(frame, largest(frame, faces), bundle.manifest.input)
        else:
            tracks = track_crops(str(path), bundle.manifest, faces)
            crops = tracks[0] if tracks else np.zeros((0, 1, 1), np.uint8)
    except EdgeError as error:
        log.warning("%s counts as a clip without a face: %s", path, error)
        return np.zeros((0, 1, 1), np.uint8)
    return crops.repeat(STILL_STEPS, axis=0) if is_still else crops


def still(path: Path) -> Frame:
    """The frame of a picture file; SourceError where it cannot be read."""
    return Frame(image=read_picture(path, SourceConfig.most_pixels), timestamp_s=0.0, index=0)


def _frames(path: Path) -> Iterator[Frame]:
    with session.parts(Config(source=SourceConfig(address=str(path), color=True))) as video:
        yield from video.frames


def _whole(frames: Iterable[Frame], bundle: Bundle) -> Uint8:
    """All of each frame as a crop, at the bundle's step rate."""
    side, last_s, crops = bundle.manifest.input.size, None, []
    for frame in frames:
        if is_due(last_s, frame.timestamp_s, bundle.manifest.step_hz):
            last_s = frame.timestamp_s
            crops.append(as_crop(frame.image, side, bundle.manifest.input.in_color))
    return np.stack(crops).astype(np.uint8)


def as_crop(image: Uint8, side: int, in_color: bool) -> Uint8:
    """All of a picture (H,W) or (H,W,3) BGR as luma (S,S), or RGB (S,S,3) for a network that takes color."""
    return np.asarray(cv2.resize(_as_taken(image, in_color), (side, side), interpolation=cv2.INTER_AREA))


def _as_taken(image: Uint8, in_color: bool) -> Uint8:
    if image.ndim == 2:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), np.uint8) if in_color else image
    how = cv2.COLOR_BGR2RGB if in_color else cv2.COLOR_BGR2GRAY
    return np.asarray(cv2.cvtColor(image, how), np.uint8)


def largest(frame: Frame, faces: Parts) -> list[Face]:
    """The largest face that the runtime would begin a track with, or none."""
    detections, tracker, tracks = faces.detector.detect(frame), faces.new_tracker(), []
    for _ in range(faces.config.tracker.confirm):
        tracks = tracker.update(detections, frame.timestamp_s)
    by_size = sorted((track.face for track in tracks), key=lambda f: float(f.box_xyxy[2] - f.box_xyxy[0]))
    return by_size[-1:]
