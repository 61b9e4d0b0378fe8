"""Networks whose forms are rarer than those of ``networks.py``: each streams with the numbers of PyTorch."""

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.export
onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

import networks  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from edge.engines.ort import OrtEngine  # noqa: E402
from edge.errors import EdgeError  # noqa: E402
from export.graph import trial, window  # noqa: E402
from export.graph.rewrite import rewrite  # noqa: E402
from export.look import order_of  # noqa: E402
from export.parity import proof  # noqa: E402
from export.plain import Reordered, choose  # noqa: E402

T, K, H = networks.STEPS, networks.CLASSES, networks.HIDDEN


def last(net, y):
    return net.fc(y[:, -1])


def packed(net, y):
    return last(net, y)


def every_row(net, y):
    return net.fc(y[torch.arange(y.size(0)), -1])


def spread(net, y):
    return net.fc(y.std(1))  # the length of the window is computed from a shape by the older exporter


def repeated(net, y):
    query = y[:, -1].unsqueeze(1).repeat(1, y.size(1), 1)
    return net.fc(((query * y).sum(-1, keepdim=True).softmax(1) * y).sum(1))


def masked(net, y):
    mask = torch.triu(torch.full((T, T), float("-inf")), 1)
    return net.fc(F.scaled_dot_product_attention(y, y, y, attn_mask=mask)[:, -1])


def squeezed(net, y):
    return net.fc(y.index_select(1, torch.tensor([T - 1])).squeeze(1))


def weighted(net, y):
    weights = torch.arange(1.0, T + 1)
    return (net.fc(y).softmax(-1).transpose(1, 2) @ weights) / weights.sum()


def columns(net, y):
    return net.fc(y).transpose(1, 2).softmax(1)


def centered(net, y):
    return net.fc(F.relu(net.conv(y.transpose(1, 2))).max(2).values)


def yes(net, y):
    return net.one(y).sigmoid().squeeze(-1)


HEADS = [last, packed, every_row, spread, repeated, masked, squeezed, weighted, columns, centered, yes]


class Odd(nn.Module):
    """A CNN, a GRU and one of the heads above."""

    def __init__(self, head):
        super().__init__()
        self.cnn, self.gru = networks.plain(1), nn.GRU(networks.FEATURES, H, batch_first=True)
        self.fc, self.one, self.conv = nn.Linear(H, K), nn.Linear(H, 1), nn.Conv1d(H, H, 3, padding=1)
        self.head = head

    def forward(self, x):
        f = self.cnn(x.flatten(0, 1)).view(x.size(0), T, -1)
        if self.head is packed:
            f = nn.utils.rnn.pack_padded_sequence(f, torch.full((x.size(0),), T), True, False)
        y = self.gru(f)[0]
        if self.head is packed:
            y = nn.utils.rnn.pad_packed_sequence(y, True, total_length=T)[0]
        return self.head(self, y)


class Volume(nn.Module):
    """Convolutions over (B,C,T,H,W), pooled over the picture alone."""

    def __init__(self, before=2, after=0, over_time=1):
        super().__init__()
        self.pads, self.conv, self.pool = (
            (0, 0, 0, 0, before, after),
            nn.Conv3d(1, 6, 3),
            nn.MaxPool3d((over_time, 2, 2)),
        )
        self.gru, self.fc = nn.GRU(6, H, batch_first=True), nn.Linear(H, K)

    def forward(self, x):
        y = self.pool(F.relu(self.conv(F.pad(x, self.pads)))).mean((3, 4)).transpose(1, 2)
        return self.fc(self.gru(y)[0][:, -1])


def exported(net, path, shape=(2, T, 1, networks.SIDE, networks.SIDE)):
    axes = {"input": {0: "B"}, "output": {0: "B"}}
    torch.onnx.export(
        net.eval(), (torch.randn(shape),), str(path), input_names=["input"], output_names=["output"],
        opset_version=18, dynamo=False, dynamic_axes=axes,
    )  # fmt: skip
    return window.load(path)


def streamed(frames, crops, folder):
    """What the network itself would answer, (B,columns), from its step after the last of ``crops``."""
    step = rewrite(frames)
    onnx.save(step.model, str(folder / "step.onnx"))
    with OrtEngine(folder / "step.onnx") as engine:
        return step.answer.output(proof.roll(engine, step.state, crops)[:, -1])


@torch.inference_mode()
def of_network(net, crops):
    return net(torch.from_numpy(crops))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.__name__)
def test_a_rare_form_streams_as_pytorch_answers(head, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, crops = Odd(head), networks.faces(networks.Recipe())
    found = streamed(exported(net, tmp_path / "window.onnx"), crops, tmp_path)
    expected = of_network(net, crops)
    if head in (columns, yes):
        expected = expected[..., -1]
    np.testing.assert_allclose(found, expected.reshape(len(crops), -1).numpy(), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_pooling_over_pictures_alone_keeps_time(tmp_path: Path) -> None:
    net, crops = Volume(), networks.faces(networks.Recipe())
    shape = (2, 1, T, networks.SIDE, networks.SIDE)
    found = streamed(exported(net, tmp_path / "window.onnx", shape), crops, tmp_path)
    np.testing.assert_allclose(found, of_network(net, crops.transpose(0, 2, 1, 3, 4)).numpy(), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("net", "words"), [(Volume(1, 1), "Conv node .* 1 frame ahead"), (Volume(over_time=2), "MaxPool node")]
)
def test_what_looks_ahead_is_blamed_not_the_pooling_behind_it(net, words: str, tmp_path: Path) -> None:
    frames = exported(net, tmp_path / "window.onnx", (2, 1, T, networks.SIDE, networks.SIDE))
    with pytest.raises(EdgeError, match=words):
        rewrite(frames)


@pytest.mark.filterwarnings("ignore")
def test_weights_in_float64_are_told_by_their_node(tmp_path: Path) -> None:
    class Double(Odd):
        def forward(self, x):
            return super().forward(x.double()).float()

    with pytest.raises(EdgeError, match=r"Conv node .* float64"):
        exported(Double(last).double(), tmp_path / "window.onnx")


def test_a_network_over_volumes_is_turned_by_what_it_runs_on() -> None:
    shape = (2, T, 1, networks.SIDE, networks.SIDE)
    assert order_of(Volume(), shape) == "BCTHW"
    assert order_of(Odd(last), shape) == "BTCHW"
    turned = Reordered(Volume(), "BCTHW").eval()
    assert turned(torch.rand(shape)).shape == (2, K)


@pytest.mark.parametrize("head", [columns, yes, last])
def test_the_last_frame_is_taken_from_an_answer_for_each(head) -> None:
    net, crops = Odd(head).eval(), networks.faces(networks.Recipe())
    plain, _ = choose(net, crops.shape, False, "")
    expected = of_network(net, crops)
    expected = expected if head is last else expected[..., -1].reshape(len(crops), -1)
    assert torch.equal(of_network(plain, crops), expected)


@pytest.mark.filterwarnings("ignore")
def test_a_step_that_is_wrong_is_not_said_to_stream(tmp_path: Path) -> None:
    frames = exported(Odd(last), tmp_path / "window.onnx")
    step = rewrite(frames)
    bias = next(t for t in step.model.graph.initializer if t.name.endswith("fc.bias"))
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(K, 9, np.float32), bias.name))
    with pytest.raises(EdgeError, match="differs from its window"):
        trial.check(frames, step)
