"""The bundle that ships: its own claims, and the peer on the same faces in the same run."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import bundle
from edge.engines.golden import reproduces, roll
from edge.engines.ort import OrtEngine
from edge.system.hashing import sha256
from edge.system.pair_safe import is_pair_safe

MODEL_PAGE = Path(__file__).parents[1] / "docs" / "model.md"
DATA = Path(__file__).parents[2] / "shared" / "data"
NEEDS_DATA = pytest.mark.skipif(not (DATA / "ferplus_webp.npz").is_file(), reason=f"no faces in {DATA}")
PEER_ORDER = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]


@pytest.fixture(scope="module")
def reference() -> bundle.Bundle:
    return bundle.load(bundle.REFERENCE)


def test_the_bundle_is_small_licensed_and_complete(reference: bundle.Bundle) -> None:
    assert sum(path.stat().st_size for path in reference.folder.iterdir()) <= 16e6
    assert set(reference.precisions) == {"fp32", "int8-cpu", "int8-trt", "fp16"}
    assert "research and demonstration" in reference.manifest.license
    assert reference.record()["figures"]["macs"] <= 60e6
    assert (reference.folder / reference.manifest.card.path).is_file()
    assert len((reference.folder / "manifest.json").read_text("utf-8").splitlines()) <= 120


@pytest.mark.parametrize("precision", ["fp32", "int8-cpu", "fp16"])
def test_what_a_processor_serves_reproduces_the_golden_logits(
    reference: bundle.Bundle, precision: str
) -> None:
    verdict = reproduces(OrtEngine(reference.model(precision)), reference)
    assert verdict.passed, str(verdict)


@pytest.mark.export
def test_what_tensorrt_serves_reproduces_the_golden_logits(reference: bundle.Bundle) -> None:
    from export.int8.reference_engine import reference_engine

    verdict = reproduces(reference_engine(reference.model("int8-trt"), "int8-trt"), reference)
    assert verdict.passed, str(verdict)


@pytest.fixture(scope="module")
def faces(reference: bundle.Bundle) -> tuple[np.ndarray, np.ndarray]:
    """PublicTest stills with a majority label, and the labels."""
    spec = importlib.util.spec_from_file_location("load_ferplus", DATA / "load_ferplus.py")
    assert spec
    assert spec.loader
    loader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loader)
    data = loader.load()
    rows = data["split"] == 1
    votes = np.where(data["votes"][rows] == 1, 0, data["votes"][rows]).astype(int)
    best = votes.argmax(axis=1)
    known = (2 * votes.max(axis=1) > votes.sum(axis=1)) & (best < 8)
    assert known.sum() == 3157
    return data["images"][rows][known], best[known]


def figures(right: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Accuracy, and the mean recall of the classes."""
    return float(right.mean()), float(np.mean([right[labels == k].mean() for k in np.unique(labels)]))


@NEEDS_DATA
def test_accuracy_as_the_card_says_and_far_ahead_of_the_peer(
    reference: bundle.Bundle, faces: tuple[np.ndarray, np.ndarray]
) -> None:
    images, labels = faces
    engine = OrtEngine(reference.model("fp32"))
    started = time.perf_counter()
    held = np.broadcast_to(images[:, None], (len(images), 8, *images.shape[1:]))
    logits = np.concatenate([roll(engine, reference, held[at : at + 256]) for at in range(0, len(held), 256)])
    ours_s = time.perf_counter() - started
    ours, our_uar = figures(logits[:, -1].argmax(axis=1) == labels, labels)
    first, _ = figures(logits[:, 0].argmax(axis=1) == labels, labels)
    claimed = reference.record()["figures"]["precisions"]["fp32"]
    assert abs(ours - claimed["accuracy"]) < 0.002, f"{ours:.4f}, the card says {claimed['accuracy']}"
    assert abs(our_uar - claimed["uar"]) < 0.01, f"{our_uar:.4f}, the card says {claimed['uar']}"
    assert ours >= 0.85
    assert our_uar >= 0.68
    assert first >= ours - 0.02
    assert all(row["recall"] > 0 for row in claimed["classes"].values())
    assert claimed["calibration_error"] <= 0.03

    peer_engine = OrtEngine(DATA / "models" / "peer_mini_xception_fer2013.onnx")
    order = [reference.labels.index(name) for name in PEER_ORDER]
    (name,), (answer,) = peer_engine.inputs, peer_engine.outputs
    started, answers = time.perf_counter(), []
    for image in images:
        pixels = cv2.resize(image, (64, 64)).astype(np.float32) / 255 * 2 - 1
        scores = peer_engine.run({name: pixels[None, None]})[answer].reshape(-1)
        answers.append(order[int(scores.argmax())])
    peer_s, (peer, peer_uar) = time.perf_counter() - started, figures(np.array(answers) == labels, labels)
    print(
        f"reference {ours:.1%}, UAR {our_uar:.1%}, {ours_s / len(labels) / 8 * 1e3:.2f} ms a step (batch 256)"
    )
    print(f"peer {peer:.1%}, UAR {peer_uar:.1%} (no contempt), {peer_s / len(labels) * 1e3:.2f} ms (batch 1)")
    row = f"| mini-XCEPTION (FER2013), same faces, same rule | {peer:.1%} | {peer_uar:.1%} |".replace(
        "%", " %"
    )
    assert row in MODEL_PAGE.read_text("utf-8")
    assert ours - peer >= 0.19, f"{ours:.4f} against {peer:.4f}"


@NEEDS_DATA
def test_the_bundle_names_the_data_it_was_made_from(reference: bundle.Bundle) -> None:
    assert reference.record()["training"]["data_sha256"] == sha256(DATA / "ferplus_webp.npz")


def test_it_runs_on_the_fast_kernel_and_tells_faces(reference: bundle.Bundle) -> None:
    assert is_pair_safe(reference.read_model("int8-cpu"))
    check = reference.manifest.face_check
    assert check is not None
    assert check.bound(new=True) > check.bound(new=False)


def test_what_the_card_claims(reference: bundle.Bundle) -> None:
    evaluation, training = reference.record()["figures"], reference.record()["training"]
    assert evaluation["fold"] == "PublicTest"
    assert not training["trial"]
    assert len(training["over_seeds"]["seeds"]) >= 3
    for name in ("int8-cpu", "int8-trt"):
        assert all(held for *_, held in evaluation["gate"][name]), evaluation["gate"][name]
    for name, row in evaluation["precisions"].items():
        assert row["calibration_error"] <= 0.03, name
    for kind, row in evaluation["abstention"].items():
        if any(word in kind for word in ("photographs", "noise", "stripes")):
            assert row["uncertain"] >= 0.7, f"{kind}: {row}"


def test_the_model_page_says_what_was_measured(reference: bundle.Bundle) -> None:
    page = MODEL_PAGE.read_text("utf-8")
    for name in ("fp32", "int8-cpu"):
        row = reference.record()["figures"]["precisions"][name]
        figures = " | ".join(f"{row[key]:.1%}" for key in ("accuracy", "uar", "accuracy_step_1"))
        assert f"| {name} | {figures} |".replace("%", " %") in page
