"""Networks for several labels and for values become bundles that answer what they answer, by every way in."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny

pytestmark = pytest.mark.export
pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from edge import answers  # noqa: E402
from edge import bundle as bundles  # noqa: E402
from edge.engines import golden  # noqa: E402
from edge.engines.ort import OrtEngine  # noqa: E402
from edge.errors import EdgeError  # noqa: E402
from edge.manifest import parse  # noqa: E402
from export.bundle.options import meant  # noqa: E402
from export.commands import bundle as command  # noqa: E402

STEPS, SIDE = 4, 16
NETWORKS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, count, ending, scale):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.ReLU(), nn.AvgPool2d(3), nn.Flatten())
        self.rnn = nn.GRU(16, 6, batch_first=True)
        last = nn.Linear(6, count)
        with torch.no_grad():
            last.weight *= scale
        self.out = nn.Sequential(last, *ending)

    def forward(self, frames):
        b, t = frames.shape[:2]
        y, _ = self.rnn(self.cnn(frames.flatten(0, 1)).view(b, t, -1))
        return self.out(y[:, -1])

def units():
    return Net(5, [nn.Sigmoid()], 6)

def affect():
    return Net(2, [nn.Tanh()], 3)

def yes():
    return Net(1, [nn.Sigmoid()], 6)

def intensity():
    return Net(3, [nn.Identity()], 9)
"""
LABELS = {
    "units": "AU1,AU2,AU4,AU6,AU12",
    "affect": "valence,arousal",
    "yes": "calm,tense",
    "intensity": "a,b,c",
}
KIND = {"units": "sigmoid", "affect": "values", "yes": "softmax", "intensity": "values"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from export.bundle.golden import draw

    folder = tmp_path_factory.mktemp("meaning")
    (folder / "meant.py").write_text(NETWORKS)
    sys.path.insert(0, str(folder))
    np.savez(folder / "set.npz", crops=draw(8, 24, np.random.default_rng(0)))
    for name in LABELS:
        net = network(name)
        torch.save(net.state_dict(), folder / f"{name}.pt")
        frames = torch.rand(2, STEPS, 1, SIDE, SIDE)
        torch.onnx.export(
            net, (frames,), str(folder / f"{name}.onnx"), dynamo=False,
            input_names=["x"], dynamic_axes={"x": {0: "B"}},
        )  # fmt: skip
    return folder


def network(name: str) -> torch.nn.Module:
    import meant

    torch.manual_seed(3)
    return getattr(meant, name)().eval()


def bundle(folder: Path, name: str, way: str, *more: str) -> Path:
    """The bundle of a network, by --onnx, --model or [parts]."""
    out = folder / f"{name}-{way}-{len(more)}"
    given = ["--onnx", f"{folder}/{name}.onnx"]
    if way != "onnx":
        given = ["--model", f"meant:{name}", "--weights", f"{folder}/{name}.pt", "--window", str(STEPS)]
        given += ["--size", str(SIDE)]
    if way == "parts":
        (folder / "parts.toml").write_text('[parts]\nencoder = "cnn"\nrecurrent = "rnn"\nhead = "out"\n')
        given += ["--config", f"{folder}/parts.toml"]
    given += ["--labels", LABELS[name], "--normalize", "unit", "--step-hz", "10"]
    given += ["--data", f"{folder}/set.npz", "-o", str(out), *more]
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    args = parser.parse_args(given)
    command.check(args)
    command.run(args)
    return out


CASES = [
    *((name, way) for name in ("units", "affect", "yes") for way in ("onnx", "model", "parts")),
    ("intensity", "onnx"),
    ("intensity", "parts"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "way"), CASES)
def test_the_runtime_answers_what_the_network_answers(
    folder: Path, name: str, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--meaning", "values") if name == "intensity" else ()
    loaded = bundles.load(bundle(folder, name, way, *more))
    manifest, told = loaded.manifest, capsys.readouterr().err
    assert manifest.output == KIND[name]
    assert (f"({KIND[name]})" in told) == (KIND[name] != "softmax"), told
    crops = np.random.default_rng(0).integers(0, 256, (6, STEPS, SIDE, SIDE), np.uint8)
    with OrtEngine(loaded.model("fp32")) as engine:
        found = answers.of(manifest).numbers(golden.roll(engine, loaded, crops)[:, -1])
        assert golden.reproduces(engine, loaded).passed
    with torch.inference_mode():
        expected = network(name)(torch.from_numpy(crops[:, :, None].astype(np.float32) / 255)).numpy()
    if name == "yes":
        expected = np.concatenate([1 - expected, expected], axis=1)
    assert np.ptp(expected, axis=0).max() > 1e-4, "the network sees a difference"
    np.testing.assert_allclose(found, expected, atol=1e-5)
    if name == "affect":
        assert manifest.value_range == (-1, 1)
    if name == "intensity":
        low, high = manifest.value_range or (0, 0)
        assert low <= expected.min() < expected.max() <= high


@pytest.mark.filterwarnings("ignore")
def test_what_was_made_is_verified_and_what_needs_one_right_label_refused(folder: Path, capsys) -> None:
    from edge.system.steps import Steps
    from export.card.evaluate import evaluate
    from export.card.verify import verify

    made = bundle(folder, "units", "onnx", "--name", "units")
    assert verify(made, folder / "units.onnx", f"{folder}/set.npz", None, None, Steps("test"))
    assert "answers changed: 0.00%" in capsys.readouterr().out
    faces = np.zeros((3, SIDE, SIDE), np.uint8)
    np.savez(folder / "labeled.npz", images=faces, labels=np.arange(3))
    with pytest.raises(EdgeError, match="has the output sigmoid, but of labeled faces each has one right"):
        verify(made, None, f"{folder}/labeled.npz", None, None, Steps("test"))
    with pytest.raises(EdgeError, match="has the output sigmoid"):
        evaluate(made, "folder", folder)


@pytest.mark.filterwarnings("ignore")
def test_a_meaning_that_is_given_wins(folder: Path) -> None:
    made = bundle(folder, "affect", "onnx", "--meaning", "softmax")
    assert "output" not in json.loads((made / "manifest.json").read_text())


TWO_HEADS = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(256, 6, batch_first=True)
        self.classes, self.affect = nn.Linear(6, 3), nn.Linear(6, 2)

    def forward(self, frames):
        y = self.rnn(frames.flatten(2))[0]
        return {"classes": self.classes(y[:, -1]), "affect": self.affect(y.mean(1)).tanh()}

def build():
    return Net()
"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", ["onnx", "model"])
def test_a_second_head_is_left_out_or_kept(way: str, tmp_path: Path, monkeypatch, capsys) -> None:
    from export.program import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "two_heads.py").write_text(TWO_HEADS)
    import two_heads

    monkeypatch.delitem(sys.modules, "two_heads")
    net = two_heads.build().eval()
    torch.save(net.state_dict(), "w.pt")
    frames = torch.rand(2, STEPS, 1, SIDE, SIDE)
    torch.onnx.export(
        net, (frames,), "net.onnx", dynamo=False, opset_version=17, input_names=["frames"],
        output_names=["classes", "affect"], dynamic_axes={"frames": {0: "b"}},
    )  # fmt: skip
    crops = np.random.default_rng(0).integers(0, 255, (4, 3 * STEPS, SIDE, SIDE), np.uint8)
    np.savez("set.npz", crops=crops)
    origin = ["--onnx", "net.onnx"] if way == "onnx" else ["--model", "two_heads:build", "--weights", "w.pt"]
    told = [*origin, "--labels", "a,b,c", "--normalize", "unit", "--step-hz", "10", "--data", "set.npz"]
    told += ["--window", str(STEPS), "--size", str(SIDE)]
    assert main(["bundle", *told, "-o", "plain"]) == 0
    assert "affect" in capsys.readouterr().err, "what is left out is told"
    assert not bundles.load(tmp_path / "plain").manifest.explanations
    assert main(["bundle", *told, "-o", "whole", "--keep", "affect"]) == 0
    manifest = bundles.load(tmp_path / "whole").manifest
    assert [(tensor.output, tensor.shape) for tensor in manifest.explanations] == [("affect", (2,))]
    assert manifest.proof["kept_max_abs"] <= 1e-4
    with OrtEngine(tmp_path / "whole/model.fp32.onnx") as engine, torch.inference_mode():
        state = {t.input: np.zeros((2, *t.shape), np.float32) for t in manifest.state}
        for at in range(STEPS):
            out = engine.run({"face": frames[:, at].numpy(), **state})
            state = {t.input: out[t.output] for t in manifest.state}
        assert np.allclose(out["affect"], net(frames)["affect"].numpy(), atol=1e-5)
    assert main(["bundle", *told, "-o", "none", "--keep", "other"]) == 2
    assert "it has" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seen", "ends"),
    [
        ((-0.3, 0.9), (-1, 1)),
        ((0.2, 0.4), (-1, 1)),
        ((0.5, 3.2), (0, 4)),
        ((-0.5, 2), (-1, 2)),
        ((-3, -2), (-3, 1)),
    ],
)
def test_bars_and_axes_reach_as_far_as_the_values(seen: tuple[float, float], ends: tuple[int, int]) -> None:
    made = meant(parse(tiny.manifest()), "values", np.array([[seen]], np.float32))
    assert made.value_range == ends


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", ["onnx", "model", "parts"])
def test_one_sigmoid_can_be_one_label_by_itself(folder: Path, way: str) -> None:
    loaded = bundles.load(bundle(folder, "yes", way, "--meaning", "sigmoid", "--labels", "tense"))
    crops = np.random.default_rng(0).integers(0, 256, (6, STEPS, SIDE, SIDE), np.uint8)
    with OrtEngine(loaded.model("fp32")) as engine:
        found = answers.of(loaded.manifest).numbers(golden.roll(engine, loaded, crops)[:, -1])
    with torch.inference_mode():
        expected = network("yes")(torch.from_numpy(crops[:, :, None].astype(np.float32) / 255)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", ["onnx", "model", "parts"])
@pytest.mark.parametrize("labels", ["tense", "a,b,c"])
def test_labels_that_do_not_go_with_yes_or_no_are_told_the_way_out(
    folder: Path, way: str, labels: str
) -> None:
    with pytest.raises(
        EdgeError, match=rf"\({labels.replace(',', ', ')}\) for one output that says yes or no"
    ):
        bundle(folder, "yes", way, "--labels", labels)


@pytest.mark.filterwarnings("ignore")
def test_pixels_of_three_channels_are_refused_by_the_option_of_one(folder: Path) -> None:
    with pytest.raises(EdgeError, match="--normalize imagenet needs 3 channels, but the network takes 1"):
        bundle(folder, "yes", "onnx", "--normalize", "imagenet")
