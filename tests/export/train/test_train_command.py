"""The whole of ``emotion-export train`` on a handful of faces: stages, bundle, card, picture."""

import json
import shutil

import cv2
import numpy as np
import pytest
import tiny

from edge import bundle as bundles
from edge.system.hashing import sha256

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two kinds of faces that a network can learn in a minute, trained from two seeds, as a bundle."""
    from export.card import measure_time
    from export.train import train
    from export.train.batches import FrameRecipe
    from export.train.sequences import SequenceTrainingRecipe

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
    short = FrameRecipe(encoder="plain-s", epochs=3, batch=16)
    heads = SequenceTrainingRecipe(sequences=8, dev_sequences=4, hidden=8, epochs=3, batch=4, stills=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "_CALIBRATION_SEQUENCES", 4)
        patch.setattr(measure_time, "SEQUENCES", 10)
        train.train(
            folder / "faces.npz", folder / "work", folder / "bundle", short, heads, together_epochs=2, seeds=2
        )
    return folder


def figures_of(bundle) -> dict:
    return json.loads((bundle / "evaluation.json").read_text())["figures"]


def test_the_bundle_is_whole_and_says_how_it_was_made(made) -> None:
    bundle = bundles.load(made / "bundle")
    assert "fp32" in bundle.precisions
    training = bundle.record()["training"]
    assert len((made / "bundle" / "manifest.json").read_text().splitlines()) <= 120
    assert training["data_sha256"] == sha256(made / "faces.npz")
    assert training["frames"]["epochs"] == 3
    assert training["together"]["epochs"] == 2
    assert training["together"]["distil"] > 0


def test_every_seed_is_measured_and_one_of_them_ships(made) -> None:
    training = bundles.load(made / "bundle").record()["training"]
    over_seeds = training["over_seeds"]
    assert over_seeds["seeds"] == [11, 12]
    assert training["frames"]["seed"] == training["sequences"]["seed"]
    shipped = over_seeds["accuracy"]["each"][over_seeds["seeds"].index(training["frames"]["seed"])]
    assert shipped == pytest.approx(figures_of(made / "bundle")["precisions"]["fp32"]["accuracy"], abs=1e-4)
    low, high = over_seeds["accuracy"]["interval_95"]
    assert low <= over_seeds["accuracy"]["mean"] <= high
    assert over_seeds["recall"]["neutral"]["n"] == 20 - 1


def test_the_head_without_memory_travels_with_the_bundle(made) -> None:
    from export.card import per_frame
    from export.train.networks import StreamingNetwork

    bundle = bundles.load(made / "bundle")
    seed = bundle.record()["training"]["frames"]["seed"]
    model = StreamingNetwork("plain-s", "cnn", 8).eval()
    folder = made / "work" / f"seed-{seed}"
    folder = next(folder.glob("together-*"))
    saved = torch.load(folder / "frames.pt", weights_only=True)["averaged"]
    prefix = "encoder."
    model.encoder.load_state_dict(
        {k.removeprefix(prefix): v for k, v in saved.items() if k.startswith(prefix)}
    )
    model.head.load_state_dict(torch.load(folder / "head-cnn.pt", weights_only=True)["best"])
    faces = np.random.default_rng(0).standard_normal((2, 3, 1, 48, 48)).astype(np.float32)
    expected = model(torch.from_numpy(faces.reshape(6, 1, 48, 48)))[0].detach().numpy().reshape(2, 3, 8)
    np.testing.assert_allclose(per_frame.load(bundle)(faces), expected, atol=1e-4)


def test_the_card_is_measured_again_from_the_bundle_alone(made, tmp_path, capsys) -> None:
    from export.__main__ import main

    copy = tmp_path / "copy"
    shutil.copytree(made / "bundle", copy)
    before = figures_of(copy)
    record = json.loads((copy / "evaluation.json").read_text())
    (copy / "evaluation.json").write_text(json.dumps({"training": record["training"]}))
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["evaluation"]["sha256"] = sha256(copy / "evaluation.json")
    (copy / "manifest.json").write_text(json.dumps(manifest))
    card = (copy / "model-card.md").read_text()
    (copy / "model-card.md").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.card.measure_time.SEQUENCES", 10)
        assert main(["card", str(copy), "--data", str(made / "faces.npz")]) == 0
    assert figures_of(copy) == before
    assert (copy / "model-card.md").read_text() == card
    bundles.load(copy)
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]

    other = tmp_path / "other.npz"
    with np.load(made / "faces.npz") as archive:
        np.savez(other, **{name: archive[name] for name in archive.files}, more=np.zeros(1))
    assert main(["card", str(copy), "--data", str(other)]) == 2
    assert "the bundle was trained on" in capsys.readouterr().err
    assert main(["card", str(tiny.write(tmp_path / "tiny")), "--data", str(other)]) == 2
    assert "holds no figures over seeds" in capsys.readouterr().err


def test_every_figure_of_the_card_is_measured(made) -> None:
    figures = figures_of(made / "bundle")
    assert figures["precisions"]["fp32"]["n"] == 60 - 4
    assert figures["abstention"]["pictures that voters called no face"]["n"] == 4
    assert len(figures["over_time"]) == 5
    card = (made / "bundle" / "model-card.md").read_text()
    fp32 = figures["precisions"]["fp32"]
    assert f"| fp32 | {fp32['n']} | {fp32['accuracy']:.1%}" in card
    for name in (*figures["robustness"], *figures["abstention"], *figures["over_time"]):
        assert f"| {name} |" in card, name
    drawn = cv2.imread(str(made / "bundle" / "model-card.png"))
    assert drawn.shape[0] > 500
    assert drawn.std() > 10


def test_what_each_precision_loses_stands_in_the_card(made) -> None:
    gate = figures_of(made / "bundle")["gate"]
    assert set(gate) == set(figures_of(made / "bundle")["precisions"]) - {"fp32"}
    card = (made / "bundle" / "model-card.md").read_text()
    for checks in gate.values():
        assert {what.split(", ")[1].split(" (")[0] for what, *_ in checks} >= {
            "accuracy lost", "min cosine over 300 steps", "growth of the error over a stream",
        }  # fmt: skip
        for what, found, allowed, held in checks:
            assert f"| {what} | {found} | {allowed} | {'' if held else '**missed**'} |" in card


def test_a_trial_is_measured_on_the_development_fold(made, tmp_path) -> None:
    from edge.engines.ort import OrtEngine
    from export.bundle.write import draft
    from export.card import card
    from export.data import ferplus
    from export.metrics import accuracy

    data, folder = ferplus.load(made / "faces.npz", trial=True), tmp_path / "copy"
    folder.mkdir()
    bundle = draft(bundles.load(made / "bundle"), folder)
    bundle.record()["training"]["trial"] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.card.measure_time.SEQUENCES", 10)
        figures = card.write(bundle, data).record()["figures"]
        card_text = (folder / "model-card.md").read_text()
    assert figures["fold"] == "development fold"
    assert "pictures that voters called no face" not in figures["abstention"], "all of them are PublicTest's"
    dev = data.fold == 1
    logits = accuracy.still_logits(OrtEngine(bundle.model("fp32")), bundle, data.images[dev])[:, -1]
    expected = accuracy.score(logits, ferplus.majority(data.votes[dev]), bundle.labels)
    assert figures["precisions"]["fp32"] | expected == figures["precisions"]["fp32"]
    assert "**a trial**" in card_text
    assert "the choice among seeds has seen" not in card_text


def test_a_card_says_nothing_of_files_that_were_made_anew(made, tmp_path, capsys) -> None:
    import onnx

    from calibration import ranges
    from edge.preprocess import normalize_crops
    from export.__main__ import main
    from export.data import ferplus

    folder = tmp_path / "copy"
    shutil.copytree(made / "bundle", folder)
    before = figures_of(folder)
    bundle = bundles.load(folder)
    fp32 = bundle.model("fp32")
    faces = [
        normalize_crops(image[None].repeat(8, axis=0), bundle.manifest)
        for image in ferplus.load(made / "faces.npz").images
    ]
    table = ranges.summarize(ranges.observe(onnx.load(str(fp32)), bundle.state, faces), "minmax")
    about = {"method": "minmax", "data_sha256": "0", "steps": 8, "model_sha256": sha256(fp32)}
    ranges.write(tmp_path / "ranges.json", table, about)
    assert main(["quantize", str(folder), "--ranges", str(tmp_path / "ranges.json"), "--dialect", "cpu"]) == 0
    assert "emotion-export card" in capsys.readouterr().out
    figures, card = figures_of(folder), (folder / "model-card.md").read_text()
    assert set(before["precisions"]) - set(figures["precisions"]) == {"int8-cpu"}
    assert "int8-cpu" not in figures["gate"]
    assert "| fp32 |" in card
    assert "int8-cpu" not in card
    assert all("int8-cpu" not in found["accuracy"] for found in figures["robustness"].values())


def test_encoders_are_compared(made, capsys) -> None:
    from export.train.batches import FrameRecipe
    from export.train.train import compare_encoders

    recipe = FrameRecipe(epochs=2, no_faces=0.0, batch=64)
    compare_encoders(made / "faces.npz", made / "compared", ["plain-s", "s2 8 | 16"], recipe)
    said = capsys.readouterr().out
    assert "| plain-s | 35.2 | 1.18 M |" in said
    assert "| s2 8 \\| 16 | 0.2 |" in said
    [file] = (made / "compared" / "encoders").glob("s2-8-16-2/result.json")
    told = json.loads(file.read_text())
    assert (told["encoder"], told["recipe"]["epochs"]) == ("s2 8 | 16", 2)
    assert 0 <= told["int8_accuracy"] <= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--out", "bundle", "--seeds", "0"], "--seeds is 0"),
        (["train", "--out", "bundle", "--together", "-1"], "--together is -1"),
        (["compare-encoders", "--epochs", "0"], "--epochs is 0"),
        (["compare-encoders", "plain-x"], "unknown encoder 'plain-x'"),
        (["compare-encoders", "--calm", "2"], "--calm is 2"),
    ],
)
def test_a_setting_out_of_bounds_is_one_line(arguments, words: str, capsys) -> None:
    from export.__main__ import main

    assert main([*arguments, "--data", "faces.npz"]) == 2
    assert words in capsys.readouterr().err


def test_the_help_names_the_defaults_of_the_recipe(capsys) -> None:
    from export.program import _parser
    from export.train.batches import FrameRecipe

    with pytest.raises(SystemExit):
        _parser().parse_args(["train", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    recipe = FrameRecipe()
    assert f"{recipe.encoder} (default)" in said
    assert f"on single pictures (default: {recipe.epochs})" in said
    assert f"of the random numbers (default: {recipe.seed})" in said
