"""`emotion-export inspect` tells of a network what `bundle` would make of it, or refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = [pytest.mark.export, pytest.mark.filterwarnings("ignore")]  # of TorchScript
onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from exporting import check_refusal, export  # noqa: E402
from windows import Recipe, build  # noqa: E402

from export import report as reports  # noqa: E402

NETWORK = """
from torch import nn

class Net(nn.Module):
    def __init__(self, both_ways=False):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.ReLU(), nn.AvgPool2d(3), nn.Flatten())
        self.rnn = nn.GRU(196, 6, batch_first=True, bidirectional=both_ways)
        self.out = nn.Linear(12 if both_ways else 6, 3)

    def forward(self, frames):
        b, t = frames.shape[:2]
        y, _ = self.rnn(self.cnn(frames.flatten(0, 1)).view(b, t, -1))
        return self.out(y[:, -1])

def forward():
    return Net()

def both_ways():
    return Net(True)
"""


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "window.onnx"
    onnx.save(build(Recipe(hidden=(5, 4), head="mean", steps=6)), str(path))
    return path


def told(*args: object, cwd: Path) -> dict:
    done = export("inspect", *args, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_graph_that_streams(graph: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    report = told(graph, cwd=tmp_path)
    assert report["streams"]
    assert not report["why_not"]
    assert report["input"] == {
        "axes": "batch, time, channels, height, width", "batch": None, "frames": 6, "channels": 1, "size": 48,
    } | {"size": report["input"]["size"]}  # fmt: skip
    assert len(report["recurrent"]) == 2
    assert all("GRU node" in node for node in report["recurrent"])
    assert any("takes one value of all times" in node for node in report["joining"])
    shapes = [state["shape"] for state in report["state"]]
    assert [5] in shapes
    assert [4] in shapes
    assert report["state_bytes"] == 4 * sum(torch.tensor(shape).prod().item() for shape in shapes)
    text = export("inspect", graph, cwd=tmp_path)
    assert text.returncode == 0
    assert "streams" in text.stdout.splitlines()[0]
    assert sorted(tmp_path.iterdir()) == before, "nothing is written"


def test_values_are_not_called_logits(graph: Path) -> None:
    made = reports.of_onnx(graph, {"meaning": "values"})
    assert made.output["form"] == ""
    assert ": K values, K = " in reports.as_text(made)
    assert "logits" not in reports.as_text(made).replace("'logits'", "")
    assert "as logits" in reports.as_text(reports.of_onnx(graph, {}))


def test_the_refusal_is_that_of_bundle(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NETWORK)
    namespace: dict = {}
    exec(NETWORK, namespace)
    torch.save(namespace["both_ways"]().state_dict(), tmp_path / "w.pt")
    given = ["--model", "net:both_ways", "--window", 4]
    report = told("w.pt", *given, cwd=tmp_path)
    assert not report["streams"]
    options = ["--labels", "a,b,c", "--normalize", "unit", "--step-hz", 10, "-o", "b"]
    refused = export("bundle", *given, "--weights", "w.pt", *options, cwd=tmp_path)
    check_refusal(refused, report["why_not"], "'rnn' (GRU)")
    text = export("inspect", "w.pt", *given, cwd=tmp_path)
    assert text.returncode == 0
    assert "does not stream" in text.stdout
    assert report["why_not"] in text.stdout


def test_pytorch_and_single_frames(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NETWORK)
    namespace: dict = {}
    exec(NETWORK, namespace)
    net = namespace["forward"]()
    torch.save(net.state_dict(), tmp_path / "w.pt")
    report = told("w.pt", "--model", "net:forward", "--window", 4, cwd=tmp_path)
    assert report["streams"], report["why_not"]
    assert [state["shape"] for state in report["state"]] == [[6]]
    assert report["output"]["classes"] == 3
    frames = torch.nn.Sequential(net.cnn, torch.nn.Linear(196, 2), torch.nn.Softmax(-1))
    torch.jit.script(frames).save(str(tmp_path / "frames.ts"))
    asked = told("frames.ts", "--trust-file", cwd=tmp_path)
    assert "--smooth N" in asked["why_not"]
    report = told("frames.ts", "--trust-file", "--smooth", 8, cwd=tmp_path)
    assert report["streams"]
    assert report["input"]["frames"] == 8


def test_wrong_inputs_are_one_line(graph: Path, tmp_path: Path) -> None:
    check_refusal(export("inspect", tmp_path / "none.onnx"), "no bundle or network at")
    check_refusal(export("inspect", tmp_path, "--window", 4), "--window is for networks")
    check_refusal(export("inspect", graph, "--model", "a:b"), "leave --model out")
    (tmp_path / "empty.onnx").write_bytes(b"")
    done = export("inspect", tmp_path / "empty.onnx")
    assert "it is empty" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
