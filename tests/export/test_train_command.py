"""The whole of ``emotion-export train`` on a handful of faces: stages, bundle, card, picture."""

import json

import cv2
import numpy as np
import pytest

from edge import bundle as bundles

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two kinds of faces that a network can learn in a minute, trained with a teacher, as a bundle."""
    from dataclasses import replace

    from export import measure, train
    from export.train_frames import FrameRecipe
    from export.train_sequences import SequenceTrainingRecipe

    folder = tmp_path_factory.mktemp("train")
    rng = np.random.default_rng(0)
    kinds = [cv2.resize(rng.integers(30, 220, (6, 6)).astype(np.uint8), (48, 48)) for _ in range(3)]
    label = np.arange(240) % 3
    images = [np.clip(kinds[k] + rng.normal(0, 12, (48, 48)), 0, 255).astype(np.uint8) for k in label]
    packed = [cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].ravel() for image in images]
    votes = np.zeros((240, 10), np.uint8)
    votes[np.arange(240), label] = 9
    votes[200:204] = 0
    votes[200:204, 9] = 10
    np.savez(
        folder / "faces.npz",
        webp=np.concatenate(packed), offsets=np.cumsum([0, *map(len, packed)]), votes=votes,
        split=(np.arange(240) >= 180).astype(np.uint8), duplicate_group=np.full(240, -1),
    )  # fmt: skip
    short = FrameRecipe(encoder="plain-s", epochs=3, noisy_epochs=1, batch=16, mixup=0.2, distil=0.5)
    heads = SequenceTrainingRecipe(sequences=8, dev_sequences=4, hidden=8, epochs=3, batch=4, stills=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "TEACHERS", (replace(short, distil=0.0, seed=2),))
        patch.setattr(train, "_CALIBRATION_SEQUENCES", 4)
        patch.setattr(measure, "SEQUENCES", 10)
        train.train(folder / "faces.npz", folder / "work", folder / "bundle", short, heads)
    return folder


def test_the_bundle_is_whole_and_says_how_it_was_made(made) -> None:
    bundle = bundles.load(made / "bundle")
    assert "fp32" in bundle.precisions
    training = bundle.manifest["training"]
    assert training["data_sha256"] == bundles.sha256(made / "faces.npz")
    assert training["teachers"][0]["seed"] == 2
    assert (made / "work" / "teacher-1" / "frames.pt").is_file()


def test_every_figure_of_the_card_is_measured(made) -> None:
    figures = json.loads((made / "bundle" / "manifest.json").read_text())["evaluation"]
    assert figures["precisions"]["fp32"]["n"] == 60 - 4
    assert figures["abstention"]["pictures that voters called no face"]["n"] == 4
    assert len(figures["over_time"]) == 3
    card = (made / "bundle" / "model-card.md").read_text()
    fp32 = figures["precisions"]["fp32"]
    assert f"| fp32 | {fp32['n']} | {fp32['accuracy']:.1%}" in card
    for name in (*figures["robustness"], *figures["abstention"], *figures["over_time"]):
        assert f"| {name} |" in card, name
    drawn = cv2.imread(str(made / "bundle" / "model-card.png"))
    assert drawn.shape[0] > 500
    assert drawn.std() > 10
