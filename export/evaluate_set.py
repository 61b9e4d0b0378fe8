"""A bundle on somebody's labelled set: every clip through the runtime's own detector, tracker and crop."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.collect import track_crops
from edge import build, config
from edge import bundle as bundles
from edge.bundle import Bundle
from edge.capture.images import SUFFIXES
from edge.data import Frame
from edge.errors import EdgeError
from edge.faces.crop import crop_faces
from edge.protocols import Engine, FaceDetector
from edge.recognition.decision import Decision
from edge.recognition.golden import roll
from export import datasets
from export.datasets import Clip
from export.evaluate import STILL_STEPS, still_logits
from export.gate import engines_of, need_labelled
from export.set_report import report

log = logging.getLogger("export")
Uint8 = npt.NDArray[np.uint8]
Answers = dict[str, npt.NDArray[np.float32]]


def evaluate(
    folder: Path, kind: str, root: Path, limit: int | None = None, cropped: bool = False, detector: str = ""
) -> dict[str, Any]:
    """Figures of every precision of the bundle on a set; ``cropped`` stills are faces already.

    ``detector`` is the path of a YuNet file, or empty for the fetched one.
    """
    bundle = bundles.load(folder)
    engines = engines_of(bundle)
    if kind == "ferplus":
        data = need_labelled(root)
        rows = np.flatnonzero(data.labels >= 0)[:limit]
        clips = [Clip(root, bundle.labels[k]) for k in data.labels[rows]]
        logits = {name: still_logits(e, bundle, data.images[rows])[:, -1] for name, e in engines.items()}
        answers = {name: _decision(bundle).probabilities(found) for name, found in logits.items()}
    else:
        clips = _known(datasets.read(kind, root), bundle)
        if limit is not None and limit < len(clips):
            chosen = np.random.default_rng(0).choice(len(clips), limit, replace=False)
            clips = [clips[at] for at in sorted(chosen)]
        answers = _answers(clips, bundle, engines, cropped, detector)
    found = {
        "dataset": kind,
        "clips": len(clips),
        "without_a_face": int(np.isnan(next(iter(answers.values()))[:, 0]).sum()),
        "precisions": {name: report(p, clips, bundle.labels) for name, p in answers.items()},
    }
    if found["without_a_face"] == len(clips):
        raise EdgeError(f"no face was found in any of the {len(clips)} clips of {root}")
    return found


def _known(clips: list[Clip], bundle: Bundle) -> list[Clip]:
    known = [clip for clip in clips if clip.label in bundle.labels]
    if len(known) < len(clips):
        log.warning(
            "%d clips carry a label that the bundle does not know; they are left out", len(clips) - len(known)
        )
    if not known:
        raise EdgeError(f"the bundle knows none of the set's labels; its own are {', '.join(bundle.labels)}")
    return known


def _decision(bundle: Bundle) -> Decision:
    return Decision(bundle.labels, bundle.manifest["temperature"], 0, 0)


def _answers(
    clips: Sequence[Clip], bundle: Bundle, engines: Mapping[str, Engine], cropped: bool, model: str
) -> Answers:
    """Probabilities (M,K) of each precision: mean over a clip's steps, NaN where no face was found."""
    answers: Answers = {
        name: np.full((len(clips), len(bundle.labels)), np.nan, np.float32) for name in engines
    }
    with build.detector(config.load(None, [f"detector.model={model}"]), Path()) as detector:
        for at, clip in enumerate(clips):
            if cropped or clip.path.suffix.lower() in SUFFIXES:
                crops = _still(clip.path, bundle, None if cropped else detector)
            else:
                crops = _longest(clip.path, bundle, detector)
            if crops is not None:
                for name, engine in engines.items():
                    logits = roll(engine, bundle, crops[None])[0]
                    answers[name][at] = _decision(bundle).probabilities(logits).mean(axis=0)
            if at % 50 == 49:
                print(f"{at + 1} of {len(clips)} clips", file=sys.stderr, flush=True)
    return answers


def _longest(path: Path, bundle: Bundle, detector: FaceDetector) -> Uint8 | None:
    """Crops of the face that is seen longest; None where there is none or the file cannot be read."""
    try:
        tracks = track_crops(str(path), bundle.manifest, detector)
    except EdgeError as error:
        log.warning("%s counts as a clip without a face: %s", path, error)
        return None
    return tracks[0] if tracks else None


def _still(path: Path, bundle: Bundle, detector: FaceDetector | None) -> Uint8 | None:
    """The largest face of a still, or the whole of it where ``detector`` is None, held for eight steps."""
    image = cv2.imread(str(path))
    if image is None:
        log.warning("%s counts as a clip without a face: it cannot be read", path)
        return None
    if detector is None:
        side = bundle.manifest["input"]["size"]
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        crop = np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    else:
        frame = Frame(image=np.asarray(image, np.uint8), timestamp_s=0.0, index=0)
        faces = detector.detect(frame)
        if not faces:
            return None
        largest = max(faces, key=lambda face: float(face.box_xyxy[2] - face.box_xyxy[0]))
        crop = crop_faces(frame, [largest], bundle.manifest)[0]
    return np.repeat(crop[None], STILL_STEPS, axis=0)
