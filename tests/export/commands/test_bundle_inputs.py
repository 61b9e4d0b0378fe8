"""`bundle` on networks and options as people have them: taken, or refused in one line before any work."""

from __future__ import annotations

import copy
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.export
onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from windows import Recipe, build  # noqa: E402

from export.bundle.golden import draw  # noqa: E402
from export.program import main  # noqa: E402

Run = Callable[..., tuple[int, str]]


class Net(nn.Module):
    """Frames (B,T,1,8,8) -> logits (B,3)."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.ReLU(), nn.AvgPool2d(3), nn.Flatten())
        self.rnn = nn.GRU(4, 6, batch_first=True)
        self.out = nn.Linear(6, 3)

    def forward(self, frames: Any) -> Any:
        b, t = frames.shape[:2]
        y, _ = self.rnn(self.cnn(frames.reshape(b * t, 1, 8, 8)).view(b, t, 4))
        return self.out(y[:, -1])


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, net: nn.Module) -> Path:
    made = tmp_path_factory.mktemp("inputs")
    np.savez(made / "set.npz", crops=draw(4, 12, np.random.default_rng(0)))
    onnx.save(build(Recipe(steps=4)), str(made / "window.onnx"))
    torch.save({"model": {f"module.{k}": v for k, v in net.state_dict().items()}, "epoch": 3}, made / "w.pt")
    frames = torch.zeros(2, 4, 1, 8, 8)
    free = {0: torch.export.Dim("B", min=1, max=64)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's own ways
        torch.jit.save(torch.jit.trace(net, frames), str(made / "traced.pt"))
        for name, shapes in (("fixed.pt2", None), ("free.pt2", (free,))):
            torch.export.save(
                torch.export.export(copy.deepcopy(net), (frames,), dynamic_shapes=shapes), made / name
            )
    return made


@pytest.fixture
def bundle(folder: Path, tmp_path: Path, capsys, monkeypatch) -> Run:
    """Exit code and stderr of ``bundle`` with these options, called from the folder of the inputs."""
    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "user_net", sys.modules[__name__])

    def run(*args: object, labels: str = "a,b,c") -> tuple[int, str]:
        told = ["--labels", labels, "--normalize", "unit", "--step-hz", "10", "--data", "set.npz"]
        code = main(["bundle", *told, "-o", str(tmp_path / "b"), *map(str, args)])
        return code, capsys.readouterr().err

    return run


def logits(folder: Path, faces: Any) -> Any:
    """Of the last step of faces (B,T,1,8,8)."""
    from edge import bundle as bundles
    from edge.engines.ort import OrtEngine
    from export.parity.proof import roll

    loaded = bundles.load(folder)
    return roll(OrtEngine(loaded.model("fp32")), loaded.state, faces)[:, -1]


@pytest.mark.parametrize("name", ["traced.pt", "fixed.pt2", "free.pt2"])
def test_a_whole_network_from_a_file(name: str, bundle: Run, net: nn.Module, tmp_path: Path) -> None:
    window = ["--window", 4, "--size", 8] if name == "traced.pt" else []  # a .pt2 says it itself
    code, error = bundle("--model", name, *window)
    assert code == 2
    assert "can run any code" in error
    assert "--trust-file" in error
    code, error = bundle("--model", name, *window, "--trust-file")
    assert code == 0, error
    faces = np.random.default_rng(1).random((3, 4, 1, 8, 8), np.float32)
    with torch.inference_mode():
        expected = net(torch.from_numpy(faces)).numpy()
    assert np.abs(logits(tmp_path / "b", faces) - expected).max() < 1e-5
    proof = json.loads((tmp_path / "b" / "manifest.json").read_text())["proof"]
    assert proof["framework_max_abs"] < 1e-5


def test_a_checkpoint_is_unwrapped_with_a_word(bundle: Run) -> None:
    given = ["--model", "user_net:Net", "--window", 4, "--size", 8]
    code, error = bundle(*given, "--weights", "w.pt")
    assert code == 0, error
    assert "w.pt: weights under 'model'; prefix 'module.' (DataParallel) taken off" in error
    for step in (
        "reading",
        "looking at",
        "exporting",
        "rewriting",
        "running",
        "comparing",
        "golden",
        "writing",
    ):
        assert f"emotion-export: {step}" in error or step in error, f"{step} was not named"


class TimeFirst(Net):
    def forward(self, frames: Any) -> Any:
        return super().forward(frames.transpose(0, 1))


def test_a_network_that_takes_time_first(bundle: Run, net: nn.Module, tmp_path: Path) -> None:
    given = ["--model", "user_net:TimeFirst", "--window", 4, "--size", 8, "--time-first"]
    code, error = bundle(*given, "--weights", "w.pt")
    assert code == 0, error
    faces = np.random.default_rng(1).random((3, 4, 1, 8, 8), np.float32)
    with torch.inference_mode():
        expected = net(torch.from_numpy(faces)).numpy()
    assert np.abs(logits(tmp_path / "b", faces) - expected).max() < 1e-5


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--model", "w.pt"], ["w.pt holds weights or a pickle", "PKG.MOD:FUNCTION"]),
        (["--model", "none.pt2"], ["no file none.pt2"]),
        (["--model", "fixed.pt2", "--trust-file", "--weights", "w.pt"], ["--weights does not go with"]),
        (["--model", "user_net:Net", "--weights", "none.pt"], ["no weights at none.pt"]),
        (["--model", "user_net:Net", "--weights", "traced.pt"], ["TorchScript", "--trust-file"]),
        (
            ["--model", "user_net:Net", "--weights", "w.pt", "--weights-key", "ema"],
            ["--weights-key ema", "'model'"],
        ),
        (["--onnx", "window.onnx", "--data", "none.npz"], ["no data at none.npz"]),
        (["--onnx", "window.onnx", "--name", "My Net"], ["name is 'My Net'", "lower case"]),
        (["--onnx", "window.onnx", "--crop-scale", "-1"], ["crop_scale is -1.0"]),
        (["--onnx", "window.onnx", "-o", "window.onnx"], ["window.onnx exists and is not a bundle"]),
    ],
)
def test_refusals(args: list[str], words: list[str], bundle: Run, tmp_path: Path) -> None:
    code, error = bundle(*args)
    check_refusal(code, error, words)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("a,,c", ["labels[1] is empty"]),
        ("a,b,a", ["labels contains 'a' twice"]),
        ("a,uncertain,c", ["'uncertain' is reserved"]),
        ("a,b\tb,c", ["labels[1]", "printable"]),
        ("a,b\x1b[31m,c", ["labels[1]", "printable"]),
        ("a,\udcff,c", ["labels[1]", "printable"]),
        ("a,b,c" + "c" * 70, ["71 characters"]),
        ("caf\u00e9,cafe\u0301,c", ["look the same"]),
    ],
)
def test_labels_are_refused_before_any_work(labels: str, words: list[str], bundle: Run) -> None:
    code, error = bundle("--onnx", "window.onnx", labels=labels)
    check_refusal(code, error, words)
    assert "emotion-export: loading" not in error, "PyTorch was loaded first"


def test_labels_of_any_script_are_taken(bundle: Run, tmp_path: Path) -> None:
    labels = ["злость", "غضب", "怒り 😠"]
    code, error = bundle("--onnx", "window.onnx", labels=", ".join(labels))
    assert code == 0, error
    assert json.loads((tmp_path / "b" / "manifest.json").read_text("utf-8"))["labels"] == labels


def check_refusal(code: int, error: str, words: list[str]) -> None:
    assert code == 2
    lines = [line for line in error.splitlines() if "error:" in line]
    assert len(lines) == 1, error
    assert "Traceback" not in error
    for word in words:
        assert word in lines[0], f"{word!r} is not in: {lines[0]}"
