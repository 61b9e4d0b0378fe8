"""Networks over single frames become bundles, from ONNX and PyTorch, with a stated choice of smoothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.export, pytest.mark.filterwarnings("ignore")]  # of the older exporter
pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from exporting import check_refusal, export  # noqa: E402
from torch import nn  # noqa: E402

from edge.bundle import load  # noqa: E402
from edge.engines.ort import OrtEngine  # noqa: E402

TOLD = ["--labels", "a,b,c", "--normalize", "unit", "--step-hz", "10"]
CLOSINGS = {
    "logits": nn.Identity(),
    "softmax": nn.Softmax(-1),
    "log-softmax": nn.LogSoftmax(-1),
}
NETWORK = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(11), nn.Flatten(),
        nn.Linear(16, 3),
    )
"""


def network(closing: str = "logits", channels: int = 1) -> nn.Module:
    torch.manual_seed(0)
    encoder = [nn.Conv2d(channels, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(11)]
    return nn.Sequential(*encoder, nn.Flatten(), nn.Linear(16, 3), CLOSINGS[closing]).eval()


@pytest.fixture(scope="module")
def sequences(tmp_path_factory) -> Path:
    from export.bundle.golden import draw

    path = tmp_path_factory.mktemp("data") / "set.npz"
    np.savez(path, crops=draw(8, 24, np.random.default_rng(0)))
    return path


def saved(net: nn.Module, path: Path, batch: str = "free") -> Path:
    names = {"input_names": ["image"], "output_names": ["scores"]}
    axes = {"image": {0: "n"}, "scores": {0: "n"}} if batch == "free" else None
    torch.onnx.export(
        net,
        (torch.zeros(1, 1, 48, 48),),
        str(path),
        dynamo=False,
        dynamic_axes=axes,
        opset_version=17,
        **names,
    )
    return path


def answers(bundle: Path, faces: np.ndarray) -> np.ndarray:
    """Probabilities (T,K) of a bundle for one face's frames (T,C,S,S)."""
    made, logits = load(bundle), []
    with OrtEngine(made.model("fp32")) as engine:
        state = {t.input: np.zeros((1, *t.shape), np.float32) for t in made.state}
        for face in faces:
            out = engine.run({"face": face[None], **state})
            state = {t.input: out[t.output] for t in made.state}
            logits.append(out["logits"][0])
    return torch.softmax(torch.from_numpy(np.stack(logits)), -1).numpy()


def expected(net: nn.Module, closing: str, faces: np.ndarray, smooth: int) -> np.ndarray:
    """The mean of the last probabilities; before there are ``smooth``, the first one counts for the rest."""
    with torch.inference_mode():
        given = net(torch.from_numpy(faces))
    each = {"logits": given.softmax(-1), "softmax": given, "log-softmax": given.exp()}[closing].numpy()
    padded = np.concatenate([each[:1]] * (smooth - 1) + [each])
    return np.stack([padded[at : at + smooth].mean(0) for at in range(len(each))])


@pytest.mark.parametrize("smooth", [1, 5])
@pytest.mark.parametrize(
    ("closing", "batch"), [("logits", "free"), ("softmax", "one"), ("log-softmax", "free")]
)
def test_an_onnx_file_of_single_frames(
    closing: str, batch: str, smooth: int, sequences: Path, tmp_path: Path
) -> None:
    net = network(closing)
    path = saved(net, tmp_path / "net.onnx", batch)
    done = export(
        "bundle", "--onnx", path, "-o", tmp_path / "b", *TOLD, "--data", sequences, "--smooth", smooth
    )
    assert done.returncode == 0, done.stderr
    faces = np.random.default_rng(1).random((20, 1, 48, 48), np.float32)
    assert np.allclose(answers(tmp_path / "b", faces), expected(net, closing, faces, smooth), atol=1e-5)
    manifest = json.loads((tmp_path / "b/manifest.json").read_text())
    assert manifest["trained_window"] == smooth
    assert bool(manifest["state"]) == (smooth > 1), "the memory is that of the mean alone"
    verified = export("verify", tmp_path / "b", "--reference", path, "--data", sequences)
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.parametrize("smooth", [1, 3])
@pytest.mark.parametrize("way", ["function", "script", "program"])
def test_pytorch_of_single_frames(way: str, smooth: int, sequences: Path, tmp_path: Path) -> None:
    namespace: dict[str, object] = {}
    exec(NETWORK, namespace)
    net = namespace["build"]().eval()  # type: ignore[operator]
    (tmp_path / "net.py").write_text(NETWORK)
    torch.save(net.state_dict(), tmp_path / "w.pt")
    if way == "script":
        torch.jit.script(net).save(str(tmp_path / "net.ts"))
    if way == "program":
        torch.export.save(torch.export.export(net, (torch.zeros(1, 1, 48, 48),)), str(tmp_path / "net.pt2"))
    model = {
        "function": ["--model", "net:build", "--weights", "w.pt"],
        "script": ["--model", "net.ts", "--trust-file"],
        "program": ["--model", "net.pt2", "--trust-file"],
    }[way]
    done = export("bundle", *model, "-o", "b", *TOLD, "--data", sequences, "--smooth", smooth, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    faces = np.random.default_rng(1).random((12, 1, 48, 48), np.float32)
    assert np.allclose(answers(tmp_path / "b", faces), expected(net, "logits", faces, smooth), atol=1e-5)
    assert json.loads((tmp_path / "b/manifest.json").read_text())["proof"]["framework_max_abs"] <= 1e-4


def test_a_bundle_without_memory_runs_and_is_quantized(sequences: Path, tmp_path: Path) -> None:
    path = saved(network(), tmp_path / "net.onnx")
    done = export("bundle", "--onnx", path, "-o", tmp_path / "b", *TOLD, "--data", sequences, "--smooth", 1)
    assert done.returncode == 0, done.stderr
    command = [
        sys.executable,
        "-m",
        "edge",
        "demo",
        "--bundle",
        str(tmp_path / "b"),
        "--out",
        str(tmp_path / "o"),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=Path(__file__).parents[3])
    assert ran.returncode == 0, ran.stderr


def test_the_choice_is_asked_for_and_goes_with_frames_alone(sequences: Path, tmp_path: Path) -> None:
    path = saved(network(), tmp_path / "net.onnx")
    refused = export("bundle", "--onnx", path, "-o", tmp_path / "b", *TOLD, "--data", sequences)
    check_refusal(refused, "looks at single frames", "--smooth N")
    (tmp_path / "net.py").write_text(NETWORK)
    torch.save(network().state_dict(), tmp_path / "w.pt")
    refused = export(
        "bundle", "--model", "net:build", "--weights", "w.pt", "-o", "b", *TOLD, "--window", 4, cwd=tmp_path
    )
    check_refusal(refused, "looks at single frames", "--smooth N")
    refused = export("bundle", "--onnx", path, "-o", tmp_path / "b", *TOLD, "--smooth", 3, "--window", 4)
    check_refusal(refused, "--window is for windows, --smooth for single frames")
    refused = export("bundle", "--onnx", path, "-o", tmp_path / "b", *TOLD, "--smooth", 0)
    check_refusal(refused, "smooth", "0")
    assert not (tmp_path / "b").exists()
