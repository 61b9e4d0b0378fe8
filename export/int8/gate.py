"""The gate: what a quantized file may lose against fp32, on labelled faces and over long streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from calibration.sequences import SequenceRecipe, generate
from edge.bundle import Bundle
from edge.config import read_toml
from edge.errors import ConfigError, EdgeError
from edge.faces.crop import normalise_crops
from edge.protocols import Engine
from export.data import ferplus
from export.data.datasets import canonical
from export.int8.reference_engine import judge
from export.metrics.accuracy import calibration_error, still_logits, uar
from export.metrics.intervals import wilson
from export.parity import proof

STREAMS, STREAM_STEPS = 16, 300
Check = tuple[str, str, str, bool]


@dataclass(frozen=True)
class Budgets:
    """The most that a quantized file may lose; shares and points of accuracy in 0..1."""

    accuracy_loss: float = 0.005
    class_loss: float = 0.02  # of the recall of a class with at least class_n faces
    class_n: int = 50
    min_cosine: float = 0.999  # of logits over 300 steps
    drift_growth: float = 2.0  # error of the last sixth of a stream / of its first sixth


@dataclass(frozen=True)
class Labelled:
    """Grey faces (N,S,S) uint8 and labels (N,); -1 where there is none."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def read_budgets(path: Path | None) -> Budgets:
    """Defaults, or the TOML file's values; ConfigError names an unknown key."""
    if path is None:
        return Budgets()
    found = read_toml(path)
    known = [entry.name for entry in fields(Budgets)]
    for key, value in found.items():
        if key not in known:
            raise ConfigError(f"{path}: unknown budget {key!r}; there are {', '.join(known)}")
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ConfigError(f"{path}: {key} is {value!r}, expected a number")
    return Budgets(**found)


def read_labelled(path: Path, bundle: Bundle, choosing: bool = False) -> Labelled | None:
    """Labelled faces of an .npz with ``images`` and ``labels`` (places in the bundle's), or of FER+.

    FER+ is ``ferplus_webp.npz`` or a folder with the two published tables. Its PublicTest is read, or where
    something is to be chosen (``choosing``) the development fold of the .npz, in the bundle's own order of
    labels; a label that the bundle does not have is none.
    """
    if path.is_dir() and not choosing:
        return _by_votes(*ferplus.public_test(path), bundle)
    if path.suffix != ".npz":
        return None
    try:
        with np.load(path) as archive:
            names = set(archive.files)
            if {"images", "labels"} <= names:
                return _labelled(path, archive["images"], archive["labels"], len(bundle.labels))
    except (OSError, ValueError, BadZipFile) as error:
        raise EdgeError(f"{path} cannot be read ({error})") from error
    if "webp" not in names:
        return None
    data = ferplus.load(path)
    rows = data.fold == (1 if choosing else 2)
    return _by_votes(data.images[rows], data.votes[rows], bundle)


def _by_votes(images: npt.NDArray[np.uint8], votes: npt.NDArray[np.uint8], bundle: Bundle) -> Labelled:
    own = canonical(bundle.labels)
    places = np.array([own.index(name) if name in own else -1 for name in ferplus.LABELS] + [-1])
    return Labelled(images, places[ferplus.majority(votes)])


def _labelled(path: Path, images: npt.NDArray[Any], labels: npt.NDArray[Any], known: int) -> Labelled:
    grey, whole = images.ndim == 3 and images.dtype == np.uint8, labels.dtype.kind in "iu"
    if not grey or not whole or labels.shape != images.shape[:1]:
        raise EdgeError(
            f"{path}: images {images.dtype} {images.shape} and labels {labels.dtype} {labels.shape}; "
            "expected grey faces uint8 (N,S,S) and labels (N,) of integers"
        )
    if len(labels) and not -1 <= labels.min() <= labels.max() < known:
        raise EdgeError(
            f"{path}: labels from {labels.min()} to {labels.max()}; expected 0 to {known - 1}, the places of "
            "the bundle's, or -1 for none"
        )
    return Labelled(images, labels.astype(np.int64))


def need_labelled(path: Path, bundle: Bundle, choosing: bool = False) -> Labelled:
    """As ``read_labelled``; EdgeError where there are no labels."""
    data = read_labelled(path, bundle, choosing)
    if data is None:
        raise EdgeError(f"{path} holds no labelled faces; pass an .npz with 'images' and 'labels'")
    return data


def figures(engine: Engine, bundle: Bundle, data: Labelled) -> dict[str, Any]:
    """Accuracy, UAR, per class precision, recall and F1 with n and 95 % interval, ECE; and the logits."""
    logits = still_logits(engine, bundle, data.images)[:, -1]
    known = data.labels >= 0
    answer, wanted = logits.argmax(-1)[known], data.labels[known]
    classes = {}
    for k, name in enumerate(bundle.labels):
        n, right, said = (
            int((wanted == k).sum()),
            int(((wanted == k) & (answer == k)).sum()),
            int((answer == k).sum()),
        )
        if n:
            classes[name] = {
                "n": n,
                "precision": round(right / said, 4) if said else 0.0,
                "recall": round(right / n, 4),
                "recall_95": wilson(right, n),
                "f1": round(2 * right / (n + said), 4),
            }
    return {
        "n": int(known.sum()),
        "accuracy": float((answer == wanted).mean()),
        "uar": uar(answer == wanted, wanted),
        "ece": calibration_error(logits, data.labels, bundle.manifest["temperature"]),
        "classes": classes,
        "logits": logits,
    }


def streams(bundle: Bundle, data: Labelled, seed: int = 17) -> npt.NDArray[np.float32]:
    """Normalised faces (STREAMS,300,C,S,S) of sequences generated from the labelled faces."""
    rng, recipe = np.random.default_rng(seed), SequenceRecipe(steps=STREAM_STEPS)
    made = [generate(data.images, data.labels, rng, recipe).crops for _ in range(STREAMS)]
    return np.stack([normalise_crops(crops, bundle.manifest) for crops in made])


def compare(
    name: str,
    found: Mapping[str, Any],
    expected: Mapping[str, Any],
    drift: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    budgets: Budgets,
) -> list[Check]:
    """Checks of one precision: ``found`` against the figures of fp32, ``drift`` logits (M,T,K) of both."""
    lost = expected["accuracy"] - found["accuracy"]
    rows = [(f"{name}, accuracy lost", lost, budgets.accuracy_loss)]
    for label, row in expected["classes"].items():
        if row["n"] >= budgets.class_n:
            less = row["recall"] - found["classes"][label]["recall"]
            rows.append((f"{name}, recall of {label} lost (n={row['n']})", less, budgets.class_loss))
    checks: list[Check] = [(what, f"{v:.2%}", f"<= {top:.2%}", v <= top) for what, v, top in rows]
    a, b = drift
    cosine = (a * b).sum(-1) / np.maximum(np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1), 1e-12)
    error = np.abs(a - b).max(axis=-1).mean(axis=0)
    sixth = len(error) // 6
    growth = float(error[-sixth:].mean() / max(float(error[:sixth].mean()), 1e-6))
    worst = float(np.nan_to_num(cosine, nan=-1).min())
    checks += [
        (f"{name}, min cosine over {len(error)} steps", f"{worst:.5f}", f">= {budgets.min_cosine}",
         worst >= budgets.min_cosine),
        (f"{name}, growth of the error over a stream", f"{growth:.2f}", f"<= {budgets.drift_growth:g}",
         growth <= budgets.drift_growth),
    ]  # fmt: skip
    return checks


def long_runs(
    engines: Mapping[str, Engine], bundle: Bundle, data: Labelled
) -> dict[str, npt.NDArray[np.float32]]:
    """Logits (STREAMS,STREAM_STEPS,K) of every engine over the same generated sequences."""
    state = {tensor.input: tensor.shape for tensor in bundle.state}
    faces = streams(bundle, data)
    return {name: proof.roll(engine, state, faces) for name, engine in engines.items()}


def engines_of(bundle: Bundle) -> dict[str, Engine]:
    """Every precision of the bundle through ONNX Runtime."""
    return {name: judge(bundle.model(name), name) for name in bundle.precisions}


def gate(
    bundle: Bundle, engines: Mapping[str, Engine], data: Labelled, budgets: Budgets
) -> tuple[list[Check], dict[str, dict[str, Any]]]:
    """Checks of every precision of ``engines`` against its "fp32", and the figures of each."""
    found = {name: figures(engine, bundle, data) for name, engine in engines.items()}
    rolled = long_runs(engines, bundle, data)
    checks = []
    for name in engines:
        if name == "fp32":
            continue
        checks += compare(name, found[name], found["fp32"], (rolled[name], rolled["fp32"]), budgets)
        flips = float((found[name]["logits"].argmax(-1) != found["fp32"]["logits"].argmax(-1)).mean())
        found[name]["label_flips"] = round(flips, 4)
        found[name]["max_abs"] = float(np.abs(rolled[name] - rolled["fp32"]).max())
    for row in found.values():
        del row["logits"]
    return checks, found
