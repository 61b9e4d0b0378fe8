"""``emotion-export evaluate --dataset pairs``: people neutral and expressive, and what lies between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.collect import finder
from calibration.morphs import SIDE, Morph, film
from edge.bundle import Bundle, load
from edge.engines.golden import roll
from edge.errors import EdgeError, SourceError
from edge.faces.crop import crop_faces
from edge.protocols import Engine
from edge.recognition.decision import Decision
from edge.session import Parts
from edge.system.progress import with_progress
from export.card import per_frame
from export.card.evaluate import as_crop, largest, some, still
from export.card.pairs_table import NO_CHOICE, WARPED
from export.data import datasets, people
from export.data.labeled import check_chooses
from export.data.people import Pair
from export.int8.reference_engine import reference_engines
from export.metrics import accuracy, onsets
from export.metrics.paired import Paired

EACH = 4  # sequences of a person
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
Uint8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PairSet:
    """Where the pictures are: see ``people.read``. None stands for the folders "neutral" and ``label``."""

    root: Path
    label: str | None = None
    neutral: str | None = None
    expressive: str | None = None
    table: Path | None = None

    @property
    def expression(self) -> str:
        """The label of the expressive pictures."""
        return self.label or "happiness"

    def read(self) -> list[Pair]:
        """The pairs; EdgeError where they are not pairs."""
        return people.read(
            self.root, self.neutral or "neutral", self.expressive or self.expression, self.table
        )


@dataclass(frozen=True)
class _Faces:
    """Both faces of N persons: as the network takes them (N,2,S,S) uint8, and larger, to be warped."""

    crops: Uint8
    large: Uint8


def evaluate(
    folder: Path, which: PairSet, limit: int | None = None, cropped: bool = False, detector: str = ""
) -> dict[str, Any]:
    """Labels and order by every precision of the bundle; time, on warped sequences, in fp32."""
    if detector and cropped:
        raise EdgeError("these pictures are faces already; leave --detector out")
    bundle = load(folder)
    check_chooses(bundle)
    names = datasets.canonical(bundle.labels)
    expression, neutral = _place(names, which.expression), _place(names, "neutral")
    pairs = which.read()
    pairs = [pairs[at] for at in some(np.arange(len(pairs)), limit)]
    if len(pairs) < 2:
        raise EdgeError(f"--limit leaves {len(pairs)} pair, expected 2 or more")
    with finder(bundle, detector) as found:
        faces = _faces(pairs, bundle, None if cropped else found)
        detected_by = None if cropped else type(found.detector).__name__
    engines, about = reference_engines(bundle), bundle.manifest
    groups = [pair.groups for pair in pairs]
    precisions = {}
    for name, engine in engines.items():
        before, after = (_stills(engine, bundle, faces.crops[:, end]) for end in (0, 1))
        precisions[name] = Paired(before, after, names, expression).figures(groups)
    return {
        "dataset": "pairs",
        "expression": which.expression,
        "bundle": {"name": about.name, "version": about.version, "sha256": about.files["fp32"].sha256},
        "detector": detected_by,
        "persons": len(pairs),
        "note": f"{WARPED} {NO_CHOICE}",
        "precisions": precisions,
        "time": _time(engines["fp32"], bundle, pairs, faces.large, (neutral, expression)),
    }


def _place(names: Sequence[str], label: str) -> int:
    if label not in names:
        raise EdgeError(f"the bundle knows no label {label!r}; its own are {', '.join(names)}")
    return names.index(label)


def _faces(pairs: Sequence[Pair], bundle: Bundle, found: Parts | None) -> _Faces:
    sizes = bundle.manifest.input.size, max(bundle.manifest.input.size, SIDE)
    both = [
        [_face(path, bundle, found, sizes) for path in (pair.neutral, pair.expressive)]
        for pair in with_progress(pairs, len(pairs), "pictures")
    ]
    return _Faces(*(np.stack([[end[at] for end in ends] for ends in both]) for at in (0, 1)))


def _face(path: Path, bundle: Bundle, found: Parts | None, sizes: tuple[int, int]) -> list[Uint8]:
    """The face of a picture in both ``sizes``; EdgeError where there is none, so that no hard one is lost."""
    taken = bundle.manifest.input
    try:
        frame = still(path)
    except SourceError as error:
        raise EdgeError(f"{path} cannot be read: {error}; take the pair away") from error
    if found is None:
        crop, large = (as_crop(frame.image, side, taken.in_color) for side in sizes)
        if min(frame.image.shape[:2]) < sizes[1]:  # averaging would make blocks of a small picture
            large = np.asarray(cv2.resize(crop, (sizes[1], sizes[1]), interpolation=cv2.INTER_LINEAR))
        return [crop, large]
    faces = largest(frame, found)
    if not faces:
        raise EdgeError(f"no face was found in {path}; take the pair away, or pass --cropped if it is a face")
    return [crop_faces(frame, faces, replace(taken, size=side))[0] for side in sizes]


def _stills(engine: Engine, bundle: Bundle, images: Uint8) -> npt.NDArray[np.float64]:
    return _own(bundle).probabilities(accuracy.still_logits(engine, bundle, images)[:, -1]).astype(np.float64)


def _own(bundle: Bundle) -> Decision:
    return Decision(bundle.labels, bundle.manifest.temperature, 0, 0)


def _time(
    engine: Engine, bundle: Bundle, pairs: Sequence[Pair], large: Uint8, labels: tuple[int, int]
) -> dict[str, Any]:
    """Figures of ``onsets``, and answers to unspoiled morphs by strength; ``labels``: neutral, expressive."""
    baseline, own, side = _baseline(engine, bundle), _own(bundle), bundle.manifest.input.size
    recurrent, alone, truth, still_between = [], [], [], []
    for at, pair in enumerate(with_progress(pairs, len(pairs), "morphs")):
        morph = Morph(large[at, 0], large[at, 1])
        stages = np.stack([morph.crop(strength, side) for strength in STRENGTHS])
        still_between.append(_stills(engine, bundle, stages))
        # Seeded by the name, so that a person's camera path stays whoever else is measured.
        films = [film(morph, side, np.random.default_rng([k, *pair.person.encode()])) for k in range(EACH)]
        crops = np.stack([one.crops for one in films])
        recurrent.append(own.probabilities(roll(engine, bundle, crops)))
        alone.append(baseline(crops))
        truth.append(np.where(np.stack([one.expressive for one in films]), labels[1], labels[0]))
    told, wanted, between = np.concatenate(recurrent), np.concatenate(truth), np.stack(still_between)
    person, groups = np.repeat(np.arange(len(pairs)), EACH), [pair.groups for pair in pairs]
    return {
        "step_hz": bundle.manifest.step_hz,
        "baseline": "per-frame head" if bundle.manifest.per_frame else "step from the zero state",
        **onsets.compare(told, np.concatenate(alone), wanted, person),
        "groups": onsets.by_group(told, wanted, person, groups),
        "by_strength": [
            {
                "strength": strength,
                "called": round(float((between[:, at].argmax(axis=1) == labels[1]).mean()), 4),
                "probability": round(float(between[:, at, labels[1]].mean()), 4),
            }
            for at, strength in enumerate(STRENGTHS)
        ],
    }


def _baseline(engine: Engine, bundle: Bundle) -> Callable[[Uint8], npt.NDArray[np.float32]]:
    """Logits (M,T,K) of crops (M,T,S,S), each frame on its own: by the bundle's head without memory.

    A bundle without that head gives the step from the zero state.
    """
    if bundle.manifest.per_frame:
        head = per_frame.load(bundle)
        return lambda crops: head(accuracy.normalized(crops, bundle))

    def forgetful(crops: Uint8) -> npt.NDArray[np.float32]:
        apart = accuracy.still_logits(engine, bundle, crops.reshape(-1, *crops.shape[2:]), steps=1)
        return apart.reshape(*crops.shape[:2], -1)

    return forgetful
