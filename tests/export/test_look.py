"""A PyTorch network that cannot stream is refused by the path of the module, before it is exported."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from edge.errors import EdgeError  # noqa: E402
from export.look import check_network  # noqa: E402

SHAPE = (2, 4, 1, 8, 8)


class Net(nn.Module):
    """A CNN, a recurrent layer and a head; the tests change single parts."""

    def __init__(self, rnn: nn.Module | None = None, norm: nn.Module | None = None, width: int = 6) -> None:
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(1, 4, 3, 2), norm or nn.BatchNorm2d(4), nn.AvgPool2d(3))
        self.inner = nn.ModuleDict({"rnn": rnn or nn.GRU(4, 6, batch_first=True)})
        self.head = nn.Linear(width, 3)
        self.unused = nn.LSTM(4, 6, bidirectional=True)

    def forward(self, frames: Any) -> Any:
        features = self.cnn(frames.flatten(0, 1)).reshape(*frames.shape[:2], 4)
        return self.head(self.inner["rnn"](features)[0][:, -1])


class Training(nn.Dropout):
    """Does not pass train() on."""

    def train(self, mode: bool = True) -> Training:
        return self


class Noise(Net):
    def forward(self, frames: Any) -> Any:
        return nn.functional.dropout(super().forward(frames), 0.5)


def rnn(kind: Any, **options: Any) -> nn.Module:
    return kind(4, 6, batch_first=True, **options)


def test_a_network_that_streams_is_only_run() -> None:
    assert check_network(Net().eval(), SHAPE) == (2, 3), "a layer that no frame reaches does not matter"


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (Net(rnn(nn.GRU, bidirectional=True), width=12), ["'inner.rnn' (GRU) is bidirectional", "forward"]),
        (Net(rnn(nn.LSTM, bidirectional=True), width=12), ["'inner.rnn' (LSTM) is bidirectional"]),
        (
            Net(rnn(nn.LSTM, proj_size=5), width=5),
            ["'inner.rnn' (LSTM) has proj_size 5", "without proj_size"],
        ),
        (Net(rnn(nn.RNN)), ["'inner.rnn' (RNN) is a plain RNN", "nn.GRU"]),
        (
            Net(norm=nn.BatchNorm2d(4, track_running_stats=False)),
            ["'cnn.1' (BatchNorm2d) normalizes with the statistics of the batch", "track_running_stats=True"],
        ),
        (Net(norm=Training(0.5)), ["'cnn.1' (Training) is still in training mode"]),
        (Noise(), ["the network (Noise) gives another answer to the same frames each time", "F.dropout"]),
    ],
)
def test_what_cannot_stream_is_named_with_the_way_out(net: nn.Module, words: list[str]) -> None:
    with pytest.raises(EdgeError) as refused:
        check_network(net.eval(), SHAPE)
    for word in words:
        assert word in str(refused.value)


def test_a_network_that_fails_says_on_what() -> None:
    with pytest.raises(EdgeError, match=r"fails on frames 2x4x3x8x8 \(RuntimeError: .*--channels"):
        check_network(Net().eval(), (2, 4, 3, 8, 8))


def test_the_first_of_several_outputs_counts() -> None:
    class Several(Net):
        def forward(self, frames: Any) -> Any:
            return {"logits": super().forward(frames), "more": 1}

    assert check_network(Several().eval(), SHAPE) == (2, 3)


def test_an_output_that_is_no_tensor() -> None:
    class Nothing(Net):
        def forward(self, frames: Any) -> Any:
            return None

    with pytest.raises(EdgeError, match="gives a NoneType, expected logits"):
        check_network(Nothing().eval(), SHAPE)
