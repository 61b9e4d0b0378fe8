"""`emotion-export bundle`, `verify` and `inspect` from outside: both ways in, every refusal in one line."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.export
onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from exporting import check_refusal, export  # noqa: E402
from windows import CLASSES, Recipe, build  # noqa: E402

TOLD = ["--labels", "a,b,c", "--normalize", "unit", "--step-hz", "10"]

NETWORK = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.ReLU(), nn.AvgPool2d(3), nn.Flatten())
        self.rnn = nn.LSTM(4, 6, 2, batch_first=True)
        self.out = nn.Linear(6, 3)

    def forward(self, frames):
        b, t = frames.shape[:2]
        y, _ = self.rnn(self.cnn(frames.flatten(0, 1)).view(b, t, -1))
        return self.out(y[:, -1])

def build():
    return Net()

def backwards():
    net = Net()
    net.rnn = nn.LSTM(4, 3, 2, batch_first=True, bidirectional=True)
    return net
"""


@pytest.fixture(scope="module")
def sequences(tmp_path_factory) -> Path:
    """Sequences of cartoons that change, so that no test needs a detector."""
    from export.bundle.golden import draw

    path = tmp_path_factory.mktemp("data") / "set.npz"
    np.savez(path, crops=draw(8, 24, np.random.default_rng(0)))
    return path


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "window.onnx"
    onnx.save(build(Recipe(hidden=(5, 4), head="mean", steps=6)), str(path))
    return path


@pytest.fixture(scope="module")
def bundle(graph: Path, sequences: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "bundle"
    done = export("bundle", "--onnx", graph, *TOLD, "--data", sequences, "-o", out)
    assert done.returncode == 0, done.stderr
    assert "--reset two-phase" in done.stdout
    assert "120 steps" in done.stdout, "twenty windows of six"
    assert f"emotion-export fit {out} --data faces.npz" in done.stdout
    return out


def test_the_manifest_says_what_was_proven(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["trained_window"] == 6
    names = sorted(row["input"] for row in manifest["state"])
    assert names == ["state_h0", "state_h1", "state_seen", "state_window"]
    proof = manifest["proof"]
    assert proof["compared_steps"] == 50
    assert proof["max_abs"] <= 1e-5
    agreement = json.loads((bundle / "evaluation.json").read_text())["agreement"]
    assert {row["step"] for row in agreement} == {1, 6, 24, 120}
    exact = [r["same_label"] for r in agreement if r["reset"] == "every-T" and r["step"] > 1]
    assert exact == [1.0, 1.0, 1.0], "a stream that forgets every window is that window"
    page = (bundle / "proof.html").read_text()
    assert "http" not in page.replace("http-equiv", ""), "nothing is loaded from elsewhere"
    assert "BROKEN" not in page


def test_verify_repeats_it_and_can_fail(bundle: Path, graph: Path, sequences: Path, tmp_path) -> None:
    page = tmp_path / "v.html"
    done = export("verify", bundle, "--reference", graph, "--data", sequences, "--page", page)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BROKEN" not in done.stdout
    assert page.is_file()
    check_refusal(export("verify", bundle, "--reference", "none.onnx", "--data", sequences), "none.onnx")
    other = tmp_path / "other.onnx"
    onnx.save(build(Recipe(seed=7)), str(other))
    check_refusal(export("verify", bundle, "--reference", other, "--data", sequences), "is not the file")
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    for file in bundle.iterdir():
        (wrong / file.name).write_bytes(file.read_bytes())
    with np.load(wrong / "golden.npz") as golden:
        crops, logits = golden["crops"], golden["logits"]
    np.savez_compressed(wrong / "golden.npz", crops=crops, logits=logits[..., ::-1])
    from edge.system.hashing import sha256

    manifest = json.loads((wrong / "manifest.json").read_text())
    manifest["golden"]["sha256"] = sha256(wrong / "golden.npz")
    (wrong / "manifest.json").write_text(json.dumps(manifest))
    done = export("verify", wrong, "--data", sequences)
    assert done.returncode == 1, "swapped outputs must not pass"
    assert "BROKEN" in done.stdout


def test_inspect_counts(bundle: Path) -> None:
    found = json.loads(export("inspect", bundle, "--json").stdout)
    fp32 = found["precisions"]["fp32"]
    conv = next(layer for layer in fp32["layers"] if layer["op"] == "Conv")
    assert conv["macs"] == 4 * 9 * 3 * 3  # 4 filters of 3x3 on a map of 3x3
    assert fp32["recurrent_operators"] == 0
    assert found["state_bytes_per_track"] == 4 * (5 + 4 + 6 * 4 + 1)
    assert all(fp32["loads_on"].values())
    assert "MMAC" in export("inspect", bundle).stdout


@pytest.fixture(scope="module")
def pytorch(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pytorch")
    (folder / "user_net.py").write_text(NETWORK)
    sys.path.insert(0, str(folder))
    import user_net

    sys.path.remove(str(folder))
    from safetensors.torch import save_file

    torch.manual_seed(0)
    net = user_net.build()
    save_file(net.state_dict(), folder / "w.safetensors")
    torch.save(net.state_dict(), folder / "w.pt")
    torch.save(net, folder / "module.pt")
    torch.save({k: v * float("nan") for k, v in net.state_dict().items()}, folder / "nan.pt")
    torch.save(user_net.backwards().state_dict(), folder / "backwards.pt")
    (folder / "parts.toml").write_text(
        'labels = ["a", "b", "c"]\nnormalize = "unit"\nstep_hz = 10\nwindow = 5\nsize = 8\n'
        '[parts]\nencoder = "cnn"\nrecurrent = "rnn"\nhead = "out"\n'
    )
    return folder


@pytest.mark.parametrize("weights", ["w.safetensors", "w.pt"])
def test_pytorch_by_its_parts(pytorch: Path, sequences: Path, weights: str, tmp_path) -> None:
    given = ["--model", "user_net:build", "--weights", weights, "--config", "parts.toml"]
    done = export("bundle", *given, "--data", sequences, "-o", tmp_path / "b", cwd=pytorch)
    assert done.returncode == 0, done.stderr[-2000:]
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert len(manifest["state"]) == 4, "h and c of two layers"
    assert manifest["proof"]["max_abs"] <= 1e-4


def test_pytorch_by_its_window(pytorch: Path, sequences: Path, tmp_path) -> None:
    given = ["--model", "user_net:build", "--weights", "w.pt", "--window", 5, "--size", 8, *TOLD]
    done = export("bundle", *given, "--data", sequences, "-o", tmp_path / "b", cwd=pytorch)
    assert done.returncode == 0, done.stderr[-2000:]
    proof = json.loads((tmp_path / "b" / "manifest.json").read_text())["proof"]
    assert proof["framework_max_abs"] <= 1e-4


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (["--weights", "module.pt"], ["pickled module", "state_dict"]),
        (["--weights", "none.pt"], ["no weights at none.pt"]),
        (["--weights", "nan.pt"], ["not finite"]),
        (["--weights", "parts.toml"], ["parts.toml"]),
        ([], ["--weights"]),
        (["--weights", "w.pt", "--model", "user_net:nothing"], ["user_net:nothing"]),
        (["--weights", "w.pt", "--model", "user_net"], ["package.module:function"]),
        (["--weights", "backwards.pt", "--model", "user_net:backwards"], ["bidirectional", "not happened"]),
        (["--weights", "w.pt", "--labels", "a,b"], ["2 labels", "3 outputs"]),
        (["--weights", "w.pt", "--reset", "every-T"], ["--reset every-T", "[parts]"]),
    ],
)
def test_pytorch_refusals(pytorch: Path, sequences: Path, given, parts, tmp_path) -> None:
    model = [] if "--model" in given else ["--model", "user_net:build"]
    out = tmp_path / "b"
    done = export(
        "bundle", *model, *given, "--config", "parts.toml", "--data", sequences, "-o", out, cwd=pytorch
    )
    check_refusal(done, *parts)
    assert list(tmp_path.iterdir()) == [], "nothing half-written"


def saved(tmp_path, model) -> Path:
    path = tmp_path / "bad.onnx"
    onnx.save(model, str(path))
    return path


def outside(tmp_path) -> Path:
    model = build(Recipe())
    folder = tmp_path / "inner"
    folder.mkdir()
    onnx.save(
        model, str(folder / "bad.onnx"), save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    (tmp_path / "weights.bin").write_bytes((folder / "weights.bin").read_bytes())
    graph = onnx.load(str(folder / "bad.onnx"), load_external_data=False)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../weights.bin"
    (folder / "bad.onnx").write_bytes(graph.SerializeToString())
    return folder / "bad.onnx"


def newer(tmp_path) -> Path:
    model = build(Recipe())
    model.opset_import[0].version = 23
    return saved(tmp_path, model)


def not_finite(tmp_path) -> Path:
    model = build(Recipe())
    weight = next(tensor for tensor in model.graph.initializer if list(tensor.dims) == [4, 1, 3, 3])
    weight.CopyFrom(onnx.numpy_helper.from_array(np.full((4, 1, 3, 3), np.nan, np.float32), weight.name))
    return saved(tmp_path, model)


def garbage(tmp_path) -> Path:
    (tmp_path / "bad.onnx").write_text("not a model")
    return tmp_path / "bad.onnx"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (outside, ["outside its folder", "../weights.bin"]),
        (newer, ["opset 23", "opset 18"]),
        (not_finite, ["not finite"]),
        (garbage, ["not a usable ONNX"]),
        (lambda folder: folder / "none.onnx", ["none.onnx"]),
    ],
)
def test_onnx_refusals(sequences: Path, make, words, tmp_path) -> None:
    given = make(tmp_path)
    out = tmp_path / "out" / "b"
    check_refusal(export("bundle", "--onnx", given, *TOLD, "--data", sequences, "-o", out), *words)
    assert not out.exists()


@pytest.mark.parametrize("missing", ["--labels", "--normalize", "--step-hz"])
def test_what_no_graph_tells_must_be_said(graph: Path, missing: str, tmp_path) -> None:
    at = TOLD.index(missing)
    told = TOLD[:at] + TOLD[at + 2 :]
    check_refusal(export("bundle", "--onnx", graph, *told, "-o", tmp_path / "b"), missing)
    assert not (tmp_path / "b").exists()


def test_labels_of_another_network(graph: Path, sequences: Path, tmp_path) -> None:
    told = ["--labels", "a,b", *TOLD[2:]]
    done = export("bundle", "--onnx", graph, *told, "--data", sequences, "-o", tmp_path / "b")
    check_refusal(done, "2 labels", f"{CLASSES} outputs")


def test_the_british_spelling_is_still_taken_with_a_warning(graph: Path, sequences: Path, tmp_path) -> None:
    given = ["bundle", "--onnx", graph, "--labels", "a,b,c", "--step-hz", "10", "--data", sequences]
    done = export(*given, "--normalise", "standardise", "-o", tmp_path / "option")
    assert done.returncode == 0, done.stderr
    assert "--normalise is now called --normalize" in done.stderr
    assert "standardise is now called standardize" in done.stderr
    (tmp_path / "export.toml").write_text('normalise = "standardise"\n')
    done = export(*given, "--config", tmp_path / "export.toml", "-o", tmp_path / "key")
    assert done.returncode == 0, done.stderr
    assert "normalise is now called normalize" in done.stderr
    for name in ("option", "key"):
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        assert manifest["input"]["normalization"] == "standardize"
