"""Heads of the reference family: from features of one frame and a state to logits and the next state.

Each has ``state`` (name -> shape of one row), ``wants_maps`` (features per place instead of pooled) and
``forward(features, *state) -> logits, *new_state, *extra``. A zero state is the beginning of a track.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor, nn

WINDOW = 16  # features that temporal attention looks back on


class FrameHead(nn.Module):
    """No memory: a linear layer."""

    wants_maps = False

    def __init__(self, features: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.output = nn.Linear(features, classes)
        self.state: dict[str, tuple[int, ...]] = {}

    def forward(self, features: Tensor) -> tuple[Tensor]:
        return (self.output(features),)


class GRUHead(nn.Module):
    """Gated recurrent unit; Cho et al., Learning Phrase Representations, EMNLP 2014."""

    wants_maps = False

    def __init__(self, features: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(features, hidden)
        self.output = nn.Linear(hidden, classes)
        self.state = {"state_h": (hidden,)}

    def forward(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = self.cell(features, state)
        return self.output(state), state


class LSTMHead(nn.Module):
    """Long short-term memory; Hochreiter and Schmidhuber, Neural Computation 9 (1997)."""

    wants_maps = False

    def __init__(self, features: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(features, hidden)
        self.output = nn.Linear(hidden, classes)
        self.state = {"state_h": (hidden,), "state_c": (hidden,)}

    def forward(self, features: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h, c = self.cell(features, (h, c))
        return self.output(h), h, c


class SpatialAttentionHead(nn.Module):
    """A GRU that chooses where to look from what it remembers.

    Soft attention over places; Xu et al., Show, Attend and Tell, ICML 2015. The map over places, which sums
    to 1, is a further output: it shows where the network looked, not why it answered.
    """

    wants_maps = True

    def __init__(self, features: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.place = nn.Linear(features, hidden)
        self.memory = nn.Linear(hidden, hidden)
        self.score = nn.Linear(hidden, 1)
        self.gru = GRUHead(features, hidden, classes)
        self.state = self.gru.state

    def forward(self, maps: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        places = maps.flatten(2).transpose(1, 2)  # (N,36,F)
        score = self.score(torch.tanh(self.place(places) + self.memory(state)[:, None]))
        attention = torch.softmax(score, dim=1)  # (N,36,1)
        logits, state = self.gru((attention * places).sum(1), state)
        return logits, state, attention.reshape(-1, *maps.shape[2:])


class TemporalAttentionHead(nn.Module):
    """Attention of the newest frame over the last WINDOW frames; causal, the state is a ring buffer.

    Scaled dot product; Vaswani et al., Attention Is All You Need, NeurIPS 2017. A row of the buffer ends
    in a 1 where it holds a frame: a young track must not attend to frames that never were.
    """

    wants_maps = False

    def __init__(self, features: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.enter = nn.Linear(features, hidden)
        self.query, self.key = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.age = nn.Parameter(torch.zeros(WINDOW))  # how much a frame counts by its age
        self.output = nn.Linear(2 * hidden, classes)
        self.state = {"state_window": (WINDOW, hidden + 1)}

    def forward(self, features: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
        now = torch.tanh(self.enter(features))
        row = torch.cat([now, torch.ones_like(now[:, :1])], dim=1)
        window = torch.cat([window[:, 1:], row[:, None]], dim=1)
        past, there = window[..., :-1], window[..., -1]
        scores = (self.key(past) * self.query(now)[:, None]).sum(-1) / sqrt(now.shape[1]) + self.age
        weights = torch.softmax(scores - 1e4 * (1 - there), dim=1)
        context = (weights[..., None] * past).sum(1)
        return self.output(torch.cat([now, context], dim=1)), window


FAMILIES: dict[str, Callable[[int, int, int], nn.Module]] = {
    "cnn": FrameHead,
    "cnn-gru": GRUHead,
    "cnn-lstm": LSTMHead,
    "cnn-gru-spatial-attention": SpatialAttentionHead,
    "cnn-temporal-attention": TemporalAttentionHead,
}
