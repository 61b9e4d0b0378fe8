"""Adds to a bundle's network an output that tells whether a crop shows a face; the encoder stays as it is."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, helper

from calibration import ranges
from calibration.sequences import SequenceRecipe, generate
from edge import answers
from edge.bundle import Bundle
from edge.engines.ort import OrtEngine
from edge.manifest import FaceOutput, Manifest
from edge.preprocess import normalize
from edge.protocols import Engine
from edge.recognition.face_check import FaceCheck
from export.bundle.options import FP32
from export.bundle.write import draft, write_bundle
from export.card import card
from export.data.ferplus import EMOTIONS, NOT_A_FACE, FerPlus, majority
from export.data.labeled import Labeled
from export.int8.quantize import FILES, add_precisions
from export.train.face_branch import OUTPUT, tap, train_branch, with_branch, without_branch
from export.train.face_crops import Images, Pictures, faces
from export.train.no_face_crops import KINDS, no_faces

LOST = 0.01  # share of the faces with an answer that the threshold may refuse
LATE = 0.04  # share of them that has to wait for a clearer picture where no face was a moment ago
_BATCH = 64
_CALIBRATION_SEQUENCES = 24
_SHARES = {  # of the crops without a face
    "shifted": 0.2, "partial": 0.11, "covered": 0.17, "hair": 0.15, "photograph": 0.25, "drawn": 0.08,
    "blurred": 0.04,
}  # fmt: skip


@dataclass(frozen=True)
class FaceCheckRecipe:
    """How much material, and how long."""

    faces: int = 30_000
    no_faces: int = 40_000
    dev_share: float = 0.2  # of both, for the development fold
    epochs: int = 12
    seed: int = 1


@dataclass(frozen=True)
class Crops:
    """``images`` (N,S,S) and the ``kind`` (N,) of each, "face" or one of KINDS."""

    images: Images
    kind: npt.NDArray[np.str_]

    @property
    def shown(self) -> npt.NDArray[np.bool_]:
        """Which show a face."""
        return np.asarray(self.kind == "face")


def add_face_check(
    bundle: Bundle,
    data: FerPlus,
    train_photographs: Sequence[Images],
    dev_photographs: Sequence[Images],
    recipe: FaceCheckRecipe,
) -> dict[str, Any]:
    """Train the output on the training fold of ``data``, choose its threshold on the development fold.

    The bundle is written anew with all precisions; its logits stay what they were. Returns the figures.
    """
    model = without_branch(onnx.load(str(bundle.model("fp32"))))
    rng = np.random.default_rng(recipe.seed)
    material = material_of(data, 0, train_photographs, recipe.faces, recipe.no_faces, rng)
    print(f"{len(material.images)} crops to train on", file=sys.stderr, flush=True)
    branch = train_branch(
        _features(model, bundle, material.images), material.shown, recipe.epochs, recipe.seed
    )
    del material
    grown = with_branch(model, branch)
    counts = (int(recipe.dev_share * recipe.faces), int(recipe.dev_share * recipe.no_faces))
    dev = material_of(data, 1, dev_photographs, *counts, rng)
    figures: dict[str, Any] = {}

    def fill(fresh: Path) -> Bundle:
        copy = draft(bundle, fresh)
        onnx.save_model(grown, str(fresh / FP32))
        outputs = run(OrtEngine(fresh / FP32, threads=2), copy, dev.images)
        answered = _answered(copy.manifest, outputs["logits"])
        scores = outputs[OUTPUT][:, 0]
        shown = scores[dev.shown & answered]
        threshold, starts_at = (round(float(np.quantile(shown, share)), 3) for share in (LOST, LATE))
        figures.update(measure(dev, scores, answered, threshold), starts_at=starts_at)
        manifest = replace(
            copy.manifest,
            face_check=FaceOutput(OUTPUT, threshold, starts_at),
            files={"fp32": copy.manifest.files["fp32"]},
        )
        copy = _quantized(replace(copy, manifest=manifest), grown, data)
        figures["precisions"] = {
            name: _unlike(copy, name, dev, scores >= threshold)
            for name in copy.precisions
            if name == "int8-cpu"
        }
        record = copy.record()
        record["training"] = {**record.get("training", {}), "face_check": {**asdict(recipe), **figures}}
        copy = replace(copy, inline=record)
        return card.forget(copy, set(FILES.values()))

    write_bundle(bundle.folder, fill)
    return figures


def material_of(
    data: FerPlus,
    fold: int,
    photographs: Sequence[Images],
    count: int,
    no_count: int,
    rng: np.random.Generator,
) -> Crops:
    """Crops with and without a face from one fold of ``data``; no voter called one of its faces none."""
    votes = data.votes
    kept = (data.fold == fold) & (votes[:, NOT_A_FACE] == 0) & (votes.argmax(axis=1) < EMOTIONS)
    pictures = Pictures(data.images[kept], photographs)
    parts = {"face": faces(pictures, count, rng)}
    parts |= {kind: no_faces(pictures, kind, max(1, round(_SHARES[kind] * no_count)), rng) for kind in KINDS}
    kinds = [np.full(len(images), kind, "U16") for kind, images in parts.items()]
    return Crops(np.concatenate(list(parts.values())), np.concatenate(kinds))


def _features(model: ModelProto, bundle: Bundle, images: Images) -> npt.NDArray[np.float16]:
    """What the branch reads (N,C,H,W) of each crop, by the float network."""
    tapped = ModelProto()
    tapped.CopyFrom(model)
    name = tap(model)
    tapped.graph.output.append(helper.make_empty_tensor_value_info(name))
    engine = OrtEngine(bundle.model("fp32"), threads=2, content=tapped.SerializeToString())
    return run(engine, bundle, images, [name], np.float16)[name]


def run(
    engine: Engine,
    bundle: Bundle,
    images: Images,
    names: Sequence[str] = ("logits", OUTPUT),
    kind: type[np.floating[Any]] = np.float32,
) -> dict[str, npt.NDArray[Any]]:
    """Outputs (N,...) of one step from the zero state for crops (N,S,S) uint8."""
    found: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in names}
    for at in range(0, len(images), _BATCH):
        inputs = normalize(images[at : at + _BATCH], bundle.manifest.input)
        state = {t.input: np.zeros((len(inputs), *t.shape), np.float32) for t in bundle.state}
        outputs = engine.run({"face": inputs, **state})
        for name in names:
            found[name].append(np.asarray(outputs[name]).astype(kind))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _answered(manifest: Manifest, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which rows get a label, if nobody asks whether there is a face."""
    meaning = answers.of(manifest)
    return np.array([meaning.answer(row, False).label in manifest.labels for row in meaning.numbers(logits)])


def measure(
    dev: Crops, scores: npt.NDArray[np.float32], answered: npt.NDArray[np.bool_], threshold: float
) -> dict[str, Any]:
    """Shares of each kind that are answered without and with the checks, and the area under the curve."""
    readable = np.array(FaceCheck().readable(dev.images))
    passed = readable & (scores >= threshold)
    rows = {
        kind: {
            "crops": int((dev.kind == kind).sum()),
            "answered before": round(float(answered[dev.kind == kind].mean()), 4),
            "readable": round(float(readable[dev.kind == kind].mean()), 4),
            "passed": round(float(passed[dev.kind == kind].mean()), 4),
            "answered": round(float((answered & passed)[dev.kind == kind].mean()), 4),
        }
        for kind in ("face", *KINDS)
    }
    return {
        "threshold": threshold,
        "auc": round(auc(scores[dev.shown], scores[~dev.shown]), 4),
        "kinds": rows,
    }


def auc(higher: npt.NDArray[np.float32], lower: npt.NDArray[np.float32]) -> float:
    """Share of pairs in which the first is the higher one: the area under the ROC curve."""
    ordered = np.sort(lower)
    below = np.searchsorted(ordered, higher, "left") + np.searchsorted(ordered, higher, "right")
    return float(below.mean() / 2 / len(lower))


def _quantized(bundle: Bundle, model: ModelProto, data: FerPlus) -> Bundle:
    """The bundle with every precision that passes; ranges by generated sequences, as in training."""
    rng, rows, dev = np.random.default_rng(3), data.fold == 0, data.fold == 1
    images, labels = data.images[rows], majority(data.votes[rows])
    shown = [generate(images, labels, rng, SequenceRecipe()).crops for _ in range(_CALIBRATION_SEQUENCES)]
    inputs = [normalize(part, bundle.manifest.input) for part in shown]
    table = ranges.summarize(ranges.observe(model, bundle.state, inputs), "minmax")
    labeled = Labeled(data.images[dev], majority(data.votes[dev]))
    return add_precisions(bundle, model, table, list(FILES), data=labeled)


def _unlike(bundle: Bundle, precision: str, dev: Crops, shown: npt.NDArray[np.bool_]) -> float:
    """Share of the crops that a precision judges unlike fp32."""
    check: Mapping[str, Any] = run(
        OrtEngine(bundle.model(precision), threads=2), bundle, dev.images, [OUTPUT]
    )
    assert bundle.manifest.face_check is not None
    return round(float(((check[OUTPUT][:, 0] >= bundle.manifest.face_check.threshold) != shown).mean()), 4)
