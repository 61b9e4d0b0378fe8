"""Somebody's pictures of the same people, neutral and smiling, through the shipped command."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import bundle as bundles

pytestmark = pytest.mark.export
pytest.importorskip("torch")

from edge.capture.demo import DemoSource  # noqa: E402
from export.__main__ import main  # noqa: E402
from export.card import pairs  # noqa: E402


def evaluate(root: Path, *extra: object) -> int:
    return main(["evaluate", str(root), "--dataset", "pairs", *map(str, extra)])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """Six drawn faces that the network calls neutral and six that it calls surprise, as pairs."""
    root = tmp_path_factory.mktemp("pairs")
    with np.load(bundles.REFERENCE / "golden.npz") as golden:
        crops, sure = golden["crops"][:, 0], golden["logits"][:, 0, 2] - golden["logits"][:, 0, 0]
    for kind, chosen in (("neutral", np.argsort(sure)[:6]), ("surprise", np.argsort(sure)[-6:])):
        (root / kind).mkdir()
        for number, at in enumerate(chosen):
            cv2.imwrite(str(root / kind / f"{number}.png"), crops[at])
    people = "".join(f"{number},{'female' if number % 2 else 'male'}\n" for number in range(6))
    (root / "people.csv").write_text("who,sex\n" + people)
    return root


def test_figures_of_pairs(drawn: Path, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(pairs, "EACH", 1)
    out = tmp_path / "figures.json"
    table = ("--people", drawn / "people.csv")
    assert evaluate(drawn, "--label", "surprise", "--cropped", *table, "--json", out) == 0
    told = capsys.readouterr().out
    found = json.loads(out.read_text())
    assert "warped, not filmed" in told, "nobody may take the morphs for films"
    assert "warped, not filmed" in found["note"]
    assert (found["persons"], found["detector"], set(found["precisions"])) == (
        6, None, {"fp32", "int8-cpu", "int8-trt", "fp16"}
    )  # fmt: skip
    first = found["precisions"]["fp32"]
    assert first["in_order"]["value"] == first["auc"]["value"] == 1.0, "as the faces were chosen"
    assert first["expressive_called"]["value"] - first["neutral_called"]["value"] >= 0.8
    assert first["groups"]["sex"]["values"]["male"]["in_order"]["n"] == 3
    time = found["time"]
    assert (time["sequences"], time["steps"], time["baseline"]) == (6, 40, "per-frame head")
    assert len(time["most_accurate"]["chosen"]) == 2, "one for each half of the persons"
    assert [row["strength"] for row in time["by_strength"]] == [0, 0.25, 0.5, 0.75, 1]
    assert time["by_strength"][-1]["called"] > time["by_strength"][0]["called"]
    assert "| sex: female | 3 |" in told


def test_a_picture_without_a_face_is_named(tmp_path, capsys) -> None:
    with DemoSource() as demo:
        frames = [frame.image for _, frame in zip(range(40), demo.frames(), strict=False)]
    for name, picture in {"neutral/a": frames[36], "neutral/b": frames[36], "smile/a": frames[39],
                          "smile/b": np.zeros_like(frames[0])}.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
    assert evaluate(tmp_path, "--expressive", "smile") == 2
    told = capsys.readouterr().err
    assert "no face was found in" in told
    assert "smile/b.png; take the pair away" in told
    (tmp_path / "smile" / "b.png").write_bytes(b"no picture")
    assert evaluate(tmp_path, "--expressive", "smile") == 2
    assert "smile/b.png cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "words"),
    [(["--label", "boredom"], "knows no label 'boredom'"),
     (["--neutral", "nowhere"], "nowhere is no folder"),
     (["--expressive", "surprise", "--limit", "1"], "--limit leaves 1 pair"),
     (["--cropped", "--detector", "a.onnx"], "leave --detector out"),
     (["--set", "dev-plain"], "--set does not go with --dataset pairs"),
     (["--dataset", "folder", "--label", "joy"], "--label does not go with --dataset folder"),
     (["--label", "surprise", "--people", "nowhere.csv"], "nowhere.csv")],
)  # fmt: skip
def test_faults_are_one_line(drawn: Path, extra, words: str, capsys) -> None:
    assert evaluate(drawn, *extra) == 2
    told = capsys.readouterr().err
    assert words in told
    assert len([line for line in told.splitlines() if line.startswith("emotion-export: error")]) <= 1
    assert "Traceback" not in told
