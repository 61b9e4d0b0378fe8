"""`emotion-export fit`: what it finds where the truth is known, what it refuses, and what stays."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny

from edge import bundle as bundles
from edge.manifest import BundleFile, parse

pytestmark = pytest.mark.export
onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from edge.engines.golden import reproduces  # noqa: E402
from edge.engines.ort import OrtEngine  # noqa: E402
from export.bundle.golden import add_golden  # noqa: E402
from export.bundle.write import write_bundle  # noqa: E402
from export.program import main  # noqa: E402

ROOT = Path(__file__).parents[3]
FILES = {"fp32": "model.fp32.onnx", "int8-cpu": "model.int8-cpu.onnx"}
TRUTH = 2.0  # what the network's logits have to be divided by
FACES = 2000


def network() -> bytes:
    """step(face, state_h): the first three pixels / 16 are the logits, the state stays as it is."""
    tensors = {
        "starts": np.array([0]), "ends": np.array([3]), "axes": np.array([1]), "by": np.float32(16),
        "shape": np.array([0, -1]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Reshape", ["face", "shape"], ["flat"]),
        helper.make_node("Slice", ["flat", "starts", "ends", "axes"], ["pixels"]),
        helper.make_node("Div", ["pixels", "by"], ["logits"]),
        helper.make_node("Identity", ["state_h"], ["new_state_h"]),
    ]

    def value(name: str, *shape: int):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])

    graph = helper.make_graph(
        nodes, "step", [value("face", 1, 8, 8), value("state_h", 2)],
        [value("logits", 3), value("new_state_h", 2)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A bundle as `bundle` and `quantize` leave it, in two precisions."""
    folder = tmp_path_factory.mktemp("made") / "bundle"
    document = tiny.manifest(files={name: {"path": path} for name, path in FILES.items()})
    document["input"]["normalization"] = "none"

    def fill(fresh: Path) -> bundles.Bundle:
        for path in FILES.values():
            (fresh / path).write_bytes(network())
        (fresh / "proof.html").write_text("proven")
        bundle = bundles.Bundle(fresh, parse(document), {"agreement": [{"n": 1}]})
        return add_golden(bundle, OrtEngine(fresh / FILES["fp32"]))

    write_bundle(folder, fill)
    return folder


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "home" / "bundle"))


def faces(path: Path, count: int = FACES, seed: int = 0, **changes: np.ndarray) -> Path:
    """Faces whose labels are as often right as softmax(logits / TRUTH) says."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 8, 8)).astype(np.uint8)
    images[:, 0, :3] = rng.integers(0, 160, (count, 3))
    logits = images[:, 0, :3] / 16
    labels = (logits / TRUTH + rng.gumbel(size=logits.shape)).argmax(axis=1)
    np.savez(path, **{"images": images, "labels": labels, **changes})
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def figures(folder: Path) -> dict:
    return json.loads((folder / "evaluation.json").read_text())["fit"]


def test_the_shipped_command_finds_the_truth_and_writes_the_whole_bundle(bundle: Path, tmp_path) -> None:
    before, data = contents(bundle), faces(tmp_path / "faces.npz")
    words = [sys.executable, "-m", "export", "fit", bundle, "--data", data, "--target", "0.8"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, timeout=300, env=env, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "fitted on 1000 faces, measured on 1000 others, kept apart by pictures" in done.stdout
    assert "running fp32 on 1,000 faces" in done.stderr
    loaded, found = bundles.load(bundle), figures(bundle)
    # With a thousand faces one standard deviation is 6 %.
    assert loaded.manifest.temperature == found["temperature"] == pytest.approx(TRUTH, rel=0.2)
    low, high = found["temperature_95"]
    assert low < TRUTH < high
    rows = found["held_out"]["calibration"]
    # Bins of 67 faces scatter by so much that a perfect temperature has an error of 0.05, too.
    assert rows["before"]["ece"] > 0.12 > 0.075 > rows["fitted"]["ece"]
    assert rows["fitted"]["nll"] < rows["before"]["nll"]
    own = found["held_out"]["precisions"]["fp32"]
    assert own["right"]["interval_95"][0] < 0.8 < own["right"]["interval_95"][1]
    assert found["held_out"]["accuracy"]["value"] < 0.75
    at = next(r for r in found["held_out"]["coverage"] if r["threshold"] == loaded.manifest.abstain_below)
    assert (at["answered"], at["accuracy"]) == (own["answered"], own["right"]["value"])
    assert found["held_out"]["precisions"]["int8-cpu"] == own

    after = contents(bundle)
    for name in (*FILES.values(), "golden.npz", "proof.html"):
        assert after[name] == before[name], name
    assert reproduces(OrtEngine(bundle / FILES["fp32"]), loaded).passed
    assert loaded.record()["agreement"] == [{"n": 1}]
    card = (bundle / "model-card.md").read_text()
    assert f"**Temperature {found['temperature']:g}**" in card
    assert "| int8-cpu |" in card
    assert "![Curves of the held-out faces](model-card.png)" in card
    picture = cv2.imread(str(bundle / "model-card.png"))
    assert (np.abs(picture.astype(int) - [14, 127, 255]).max(axis=2) < 8).sum() > 200, "an orange curve"
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["bundle"]


def test_a_second_run_and_another_order_of_rows_find_the_same(bundle: Path, tmp_path, capsys) -> None:
    data = faces(tmp_path / "faces.npz", 600)
    assert main(["fit", str(bundle), "--data", str(data)]) == 0
    once, card = figures(bundle), (bundle / "model-card.md").read_text()
    assert main(["fit", str(bundle), "--data", str(data)]) == 0
    twice = figures(bundle)
    assert (twice["temperature"], twice["abstain_below"]) == (once["temperature"], once["abstain_below"])
    assert twice["before"]["temperature"] == once["temperature"]
    assert (bundle / "model-card.md").read_text() != card, "it says what was before"
    assert "the gain may be chance" in capsys.readouterr().out
    with np.load(data) as found:
        np.savez(tmp_path / "turned.npz", images=found["images"][::-1], labels=found["labels"][::-1])
    other = tmp_path / "new"
    assert main(["fit", str(bundle), "--data", str(tmp_path / "turned.npz"), "-o", str(other)]) == 0
    assert figures(other)["temperature"] == once["temperature"]
    assert figures(bundle) == twice, "with -o the old bundle stays"


def test_a_file_of_its_own_is_held_out(bundle: Path, tmp_path, capsys) -> None:
    data, other = faces(tmp_path / "a.npz", 300), faces(tmp_path / "b.npz", 200, seed=1)
    assert main(["fit", str(bundle), "--data", str(data), "--held-out", str(other)]) == 0
    found = figures(bundle)
    assert (found["split"], found["faces"]["fitted"]["n"], found["faces"]["held_out"]["n"]) == (
        "files", 300, 200,
    )  # fmt: skip
    assert found["held_out_sha256"] in (bundle / "model-card.md").read_text()
    assert main(["fit", str(bundle), "--data", str(data), "--held-out", str(data)]) == 2
    assert f"300 pictures of {data} stand in {data}, too" in capsys.readouterr().err


def test_what_no_threshold_reaches_is_said(bundle: Path, tmp_path, capsys) -> None:
    labels = np.random.default_rng(3).integers(0, 3, FACES)
    with np.load(faces(tmp_path / "faces.npz")) as found:
        half = np.where(np.arange(FACES) % 2, found["labels"], labels)
    data = faces(tmp_path / "faces.npz", labels=half)
    assert main(["fit", str(bundle), "--data", str(data), "--target", "0.98"]) == 0
    assert "no threshold makes 98% of the answers right" in capsys.readouterr().out
    assert not figures(bundle)["reached"]
    assert figures(bundle)["held_out"]["precisions"]["fp32"]["answered"] > 0, "it still answers"
    assert "**never 98%**" in (bundle / "model-card.md").read_text()


def test_a_label_without_faces_is_named(bundle: Path, tmp_path, capsys) -> None:
    with np.load(faces(tmp_path / "faces.npz")) as found:
        labels = np.where(found["labels"] == 2, -1, found["labels"])
    assert main(["fit", str(bundle), "--data", str(faces(tmp_path / "faces.npz", labels=labels))]) == 0
    assert "no face to fit on is labeled cross" in capsys.readouterr().out
    assert figures(bundle)["faces"]["held_out"]["n"] < 700


def test_few_people_give_no_interval(bundle: Path, tmp_path) -> None:
    data = faces(tmp_path / "faces.npz", groups=np.array(["ann", "bob", "cid"])[np.arange(FACES) % 3])
    assert main(["fit", str(bundle), "--data", str(data)]) == 0
    found = figures(bundle)
    assert found["split"] == "groups"
    assert {half["groups"] for half in found["faces"].values()} == {1, 2}
    assert found["temperature_95"] is None
    assert found["held_out"]["nll_gain"]["interval_95"] is None


def test_a_card_by_another_hand_stays(bundle: Path, tmp_path, capsys) -> None:
    (bundle / "model-card.md").write_text("mine")
    for _ in range(2):
        assert main(["fit", str(bundle), "--data", str(faces(tmp_path / "faces.npz", 300))]) == 0
    assert (bundle / "model-card.md").read_text() == "mine"
    assert "model-card.md stays as it is" in capsys.readouterr().err
    assert bundles.load(bundle).manifest.temperature != 1


def test_figures_of_a_file_that_is_made_anew_are_taken_out(bundle: Path, tmp_path, capsys) -> None:
    from export.card import card

    assert main(["fit", str(bundle), "--data", str(faces(tmp_path / "faces.npz", 300))]) == 0
    fitted = bundles.load(bundle)
    write_bundle(bundle, lambda fresh: card.forget(_copied(fitted, fresh), {"int8-cpu"}))
    assert "the card no longer covers int8-cpu; run emotion-export fit" in capsys.readouterr().out
    assert set(figures(bundle)["held_out"]["precisions"]) == {"fp32"}
    assert "| int8-cpu |" not in (bundle / "model-card.md").read_text()
    assert bundles.load(bundle).manifest.temperature == fitted.manifest.temperature


def test_the_card_of_train_keeps_its_figures_beside_the_fit(tmp_path) -> None:
    """On drawn faces, whose labels say nothing, but agree with the network often enough."""
    from export.bundle.golden import draw
    from export.metrics.accuracy import still_logits

    folder, rng = Path(shutil.copytree(bundles.REFERENCE, tmp_path / "bundle")), np.random.default_rng(0)
    old = bundles.load(folder)
    fp32 = replace(old.manifest, files={"fp32": BundleFile(old.manifest.files["fp32"].path)})
    write_bundle(folder, lambda fresh: _copied(replace(old, manifest=fp32), fresh))
    images = np.unique(draw(260, 48, rng)[:, -1], axis=0)
    answer = still_logits(OrtEngine(old.model("fp32")), old, images)[:, -1].argmax(axis=1)
    labels = np.where(rng.random(len(images)) < 0.8, answer, rng.integers(0, 8, len(images)))
    np.savez(tmp_path / "faces.npz", images=images, labels=labels)
    assert main(["fit", str(folder), "--data", str(tmp_path / "faces.npz"), "--target", "0.8"]) == 0
    card, found = (folder / "model-card.md").read_text(), figures(folder)
    assert "at temperature 0.8002: fp32 0.019" in card, "where it was measured"
    assert "The first row is the threshold before the fit below" in card
    assert "## Fitted to other faces\nBy `emotion-export fit`" in card
    assert f"**Temperature {found['temperature']:g}**" in card


def _copied(bundle: bundles.Bundle, fresh: Path) -> bundles.Bundle:
    from export.bundle.write import draft

    return draft(bundle, fresh)


ONE = np.zeros(FACES, int)
REFUSED = {
    "few": ({"count": 150}, [], "75 labeled faces of", "at least 100 each"),
    "one label": ({"labels": ONE}, [], "'calm', expected at least two labels"),
    "unknown label": ({"labels": ONE + 3}, [], "labels from 3 to 3; expected 0 to 2"),
    "no labels": ({"labels": ONE - 1}, [], "0 labeled faces of"),
    "color": ({"images": np.zeros((FACES, 8, 8, 3), np.uint8)}, [], "gray"),
    "names": ({"labels": np.full(FACES, "calm")}, [], "labels (N,) of integers"),
    "one person": ({"groups": ONE}, [], "2000 labeled faces of", "and 0 of", "whole groups"),
    "groups": ({"groups": ONE[:5]}, [], "groups int64 (5,), expected (2000,)"),
    "target": ({}, ["--target", "90"], "--target is 90, expected a share", "0.9"),
    "no file": ({}, ["--held-out", "none.npz"], "no held-out at none.npz"),
    "no folder": ({}, ["-o", "{data}/x"], "cannot write into"),
    "no bundle": ({}, ["-o", "{folder}"], "exists and is not a bundle"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(bundle: Path, tmp_path, capfd, case: str) -> None:
    changes, options, *words = REFUSED[case]
    data, before = faces(tmp_path / "faces.npz", **changes), contents(bundle)
    options = [option.format(data=data, folder=tmp_path) for option in options]
    assert main(["fit", str(bundle), "--data", str(data), *options]) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if "error:" in line]
    assert len(lines) == 1
    for word in words:
        assert word in lines[0]
    assert contents(bundle) == before
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize(
    ("turned", "words"), [(0, "no temperature is best"), (1, "check the order of the labels")]
)
def test_faces_that_tell_no_temperature_are_refused(bundle: Path, tmp_path, capsys, turned, words) -> None:
    with np.load(faces(tmp_path / "faces.npz")) as found:
        pixels = found["images"][:, 0, :3].astype(int)
    labels = (-pixels if turned else pixels).argmax(axis=1)
    assert main(["fit", str(bundle), "--data", str(faces(tmp_path / "faces.npz", labels=labels))]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("output", ["sigmoid", "values"])
def test_what_chooses_no_label_has_nothing_to_fit(bundle: Path, tmp_path, capsys, output: str) -> None:
    old = bundles.load(bundle)
    other = replace(old, manifest=replace(old.manifest, output=output))
    write_bundle(bundle, lambda fresh: _copied(other, fresh))
    assert main(["fit", str(bundle), "--data", str(faces(tmp_path / "faces.npz"))]) == 2
    error = capsys.readouterr().err
    assert f"is {output!r}; only one of K classes" in error
    assert "Traceback" not in error


def test_no_npz_and_no_labels(bundle: Path, tmp_path, capsys) -> None:
    np.savez(tmp_path / "crops.npz", crops=np.zeros((3, 4, 8, 8), np.uint8))
    (tmp_path / "text.npz").write_text("not an archive")
    for name, words in (("crops.npz", "holds no labeled faces"), ("text.npz", "cannot be read")):
        assert main(["fit", str(bundle), "--data", str(tmp_path / name)]) == 2
        assert words in capsys.readouterr().err


def test_faces_of_another_size_are_resized(bundle: Path, tmp_path) -> None:
    with np.load(faces(tmp_path / "small.npz")) as found:
        images, labels = np.kron(found["images"], np.ones((1, 2, 2), np.uint8)), found["labels"]
    np.savez(tmp_path / "large.npz", images=images, labels=labels)
    temperatures = []
    for name in ("small", "large"):
        assert (
            main(["fit", str(bundle), "--data", str(tmp_path / f"{name}.npz"), "-o", str(tmp_path / name)])
            == 0
        )
        temperatures.append(figures(tmp_path / name)["temperature"])
    # Areas of equal pixels shrink to themselves; but other pictures have other hashes, so other halves.
    assert temperatures[1] == pytest.approx(temperatures[0], rel=0.2)


def test_an_interrupt_leaves_the_old_bundle(bundle: Path, tmp_path) -> None:
    before = contents(bundle)
    data = faces(tmp_path / "faces.npz", 200_000)
    words = [sys.executable, "-m", "export", "fit", str(bundle), "--data", str(data)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=env, cwd=tmp_path) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if "running fp32" in line:
                break
        time.sleep(0.1)
        run.send_signal(signal.SIGINT)
        said = run.stderr.read()
    assert run.returncode == 130, said
    assert "Traceback" not in said
    assert contents(bundle) == before
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]
