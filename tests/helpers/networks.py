"""Networks over windows of frames, of the kinds that public work uses, built at random from their parts.

``random_recipe(seed)`` draws one, ``build(recipe)`` makes it in PyTorch, ``exported`` writes it as its user
would. A part that cannot stream says so in ``refusal``: a word that the refusal has to contain.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE, STEPS, CLASSES, FEATURES, HIDDEN = 16, 6, 5, 8, 7


@dataclass(frozen=True)
class Recipe:
    """One network; each field names a row of a table below."""

    encoder: str = "plain"
    between: str = "none"  # between encoder and recurrent layers
    recurrent: str = "gru"
    head: str = "last"
    output: str = "logits"
    exporter: str = "legacy"  # legacy, dynamo
    axes: str = "BTCHW"
    channels: int = 1
    batch: str = "free"  # free, one, two
    seed: int = 0


def conv(channels: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, 2, 1)


class Depthwise(nn.Module):
    """MobileNet: expansion, depthwise convolution, projection, a skip; squeeze and excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(channels, 8), nn.BatchNorm2d(8), nn.Hardswish())
        self.body = nn.Sequential(
            nn.Conv2d(8, 16, 1), nn.BatchNorm2d(16), nn.ReLU6(), nn.Conv2d(16, 16, 3, 1, 1, groups=16),
            nn.BatchNorm2d(16), nn.SiLU(),
        )  # fmt: skip
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1), nn.ReLU(), nn.Conv2d(4, 16, 1), nn.Hardsigmoid()
        )
        self.project, self.fc = nn.Conv2d(16, 8, 1), nn.Linear(8, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.body(x)
        return self.fc((x + self.project(y * self.squeeze(y))).mean((2, 3)))


class Shuffle(nn.Module):
    """ShuffleNet: channels split, shuffled by a reshape and a transpose, joined."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem, self.right, self.fc = conv(channels, 8), nn.Conv2d(4, 4, 3, 1, 1), nn.Linear(8, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.stem(x).relu().chunk(2, 1)
        y = torch.cat([a, self.right(b)], 1)
        n, c, h, w = y.shape
        y = y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.fc(F.adaptive_avg_pool2d(y, 1).flatten(1))


class Vit(nn.Module):
    """Patches, a class token, positions, one layer of attention within the frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, FEATURES, 8, 8)
        self.layer = nn.TransformerEncoderLayer(FEATURES, 2, 16, batch_first=True)
        self.token = nn.Parameter(torch.randn(1, 1, FEATURES))
        self.position = nn.Parameter(torch.randn(1, 5, FEATURES))

    def forward(self, x: Tensor) -> Tensor:
        y = self.patches(x).flatten(2).transpose(1, 2)
        y = torch.cat([self.token.expand(x.size(0), -1, -1), y], 1) + self.position
        return self.layer(y)[:, 0]


class Padded(nn.Module):
    """Explicit padding, pixel unshuffle, instance norm, a resize: the rarer operators of stems."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(4 * channels, 6, 3), nn.Linear(6 * 4, FEATURES)
        self.norm = nn.InstanceNorm2d(6, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pixel_unshuffle(F.pad(x, (1, 1, 1, 1), mode="reflect"), 2)
        x = F.interpolate(self.norm(self.conv(x)), scale_factor=2.0, mode="nearest")
        return self.fc(F.avg_pool2d(F.gelu(x), 7).flatten(1))


def plain(channels: int) -> nn.Module:
    return nn.Sequential(
        conv(channels, 6), nn.BatchNorm2d(6), nn.ReLU(), conv(6, 8), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(),
        nn.Linear(8, FEATURES), nn.ReLU(),
    )  # fmt: skip


def grouped(channels: int) -> nn.Module:
    return nn.Sequential(
        conv(channels, 8), nn.GroupNorm(2, 8), nn.PReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 1, groups=2),
        nn.LeakyReLU(), nn.Flatten(), nn.LayerNorm(128), nn.Linear(128, FEATURES), nn.Tanh(),
    )  # fmt: skip


ENCODERS = {
    "plain": plain,
    "grouped": grouped,
    "depthwise": Depthwise,
    "shuffle": Shuffle,
    "vit": Vit,
    "padded": Padded,
}


class TimeNorm(nn.Module):
    """BatchNorm1d, the way it wants a sequence: (B,F,T)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(FEATURES)
        self.norm.running_mean = torch.randn(FEATURES)

    def forward(self, f: Tensor) -> Tensor:
        return self.norm(f.transpose(1, 2)).transpose(1, 2)


class Causal(nn.Module):
    """A convolution over the last three times."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(FEATURES, FEATURES, 3)

    def forward(self, f: Tensor) -> Tensor:
        return self.conv(F.pad(f.transpose(1, 2), (2, 0))).transpose(1, 2)


class Centered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(FEATURES, FEATURES, 3, padding=1)

    def forward(self, f: Tensor) -> Tensor:
        return self.conv(f.transpose(1, 2)).transpose(1, 2)


class Positions(nn.Module):
    """An embedding of the position within the window."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(1, STEPS, FEATURES))

    def forward(self, f: Tensor) -> Tensor:
        return f + self.place


class Shifted(nn.Module):
    """Differences of neighboring frames."""

    def forward(self, f: Tensor) -> Tensor:
        return torch.cat([f[:, :1], f[:, 1:] - f[:, :-1]], 1)


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(FEATURES, 2, 16, batch_first=True)

    def forward(self, f: Tensor) -> Tensor:
        return self.layer(f)


class WindowNorm(nn.Module):
    """Features standardized over the window."""

    def forward(self, f: Tensor) -> Tensor:
        return (f - f.mean(1, keepdim=True)) / (f.std(1, keepdim=True) + 1e-3)


# Name -> module, and a word of the refusal where it cannot stream.
BETWEEN: dict[str, tuple[Any, str]] = {
    "none": (nn.Identity, ""),
    "linear": (lambda: nn.Sequential(nn.Linear(FEATURES, FEATURES), nn.Dropout(0.3), nn.ELU()), ""),
    "layernorm": (lambda: nn.LayerNorm(FEATURES), ""),
    "batchnorm": (TimeNorm, ""),
    "causal": (Causal, ""),
    "centered": (Centered, "onv"),
    "positions": (Positions, "position"),
    "shifted": (Shifted, "time"),
    "attention": (SelfAttention, "time"),
    "windownorm": (WindowNorm, "time"),
}


class Recurrent(nn.Module):
    """Features (B,T,F) -> outputs (B,T,H)."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        made = {
            "gru": lambda: nn.GRU(FEATURES, HIDDEN, batch_first=True),
            "gru2": lambda: nn.GRU(FEATURES, HIDDEN, 2, batch_first=True),
            "lstm": lambda: nn.LSTM(FEATURES, HIDDEN, batch_first=True),
            "lstm2": lambda: nn.LSTM(FEATURES, HIDDEN, 2, batch_first=True, bias=False),
            "timefirst": lambda: nn.GRU(FEATURES, HIDDEN),
            "learned": lambda: nn.GRU(FEATURES, HIDDEN, batch_first=True),
            "beside": lambda: nn.GRU(FEATURES, HIDDEN, batch_first=True),
            "skip": lambda: nn.GRU(FEATURES, FEATURES, batch_first=True),
            "bi": lambda: nn.GRU(FEATURES, HIDDEN, batch_first=True, bidirectional=True),
            "flip": lambda: nn.GRU(FEATURES, HIDDEN, batch_first=True),
            "rnn": lambda: nn.RNN(FEATURES, HIDDEN, batch_first=True),
            "cell": lambda: nn.GRUCell(FEATURES, HIDDEN),
            "lstmcell": lambda: nn.LSTMCell(FEATURES, HIDDEN),
        }
        self.rnn = made[kind]() if kind != "none" else nn.Identity()
        self.second = nn.LSTM(FEATURES, HIDDEN, batch_first=True) if kind in ("beside", "flip") else None
        self.start = nn.Parameter(torch.randn(1, 1, HIDDEN)) if kind == "learned" else None
        self.width = {"bi": 2 * HIDDEN, "beside": 2 * HIDDEN, "flip": 2 * HIDDEN, "skip": FEATURES}.get(
            kind, FEATURES if kind == "none" else HIDDEN
        )

    def forward(self, f: Tensor) -> Tensor:
        if self.kind == "none":
            return f
        if self.kind in ("cell", "lstmcell"):
            state: Any = None
            outputs = []
            for t in range(STEPS):
                state = self.rnn(f[:, t], state)
                outputs.append(state[0] if self.kind == "lstmcell" else state)
            return torch.stack(outputs, 1)
        if self.kind == "timefirst":
            return self.rnn(f.transpose(0, 1))[0].transpose(0, 1)
        if self.kind == "learned":
            return self.rnn(f, self.start.expand(1, f.shape[0], HIDDEN).contiguous())[0]
        if self.kind == "beside":
            return torch.cat([self.rnn(f)[0], self.second(f)[0]], -1)
        if self.kind == "flip":
            return torch.cat([self.rnn(f)[0], self.second(f.flip(1))[0].flip(1)], -1)
        if self.kind == "skip":
            return self.rnn(f)[0] + f
        return self.rnn(f)[0]


RECURRENT = {
    "gru": "", "gru2": "", "lstm": "", "lstm2": "", "timefirst": "", "learned": "", "beside": "", "skip": "",
    "none": "", "bi": "bidirectional", "flip": "reverse", "rnn": "RNN|nn.LSTM",
    "cell": "[parts]", "lstmcell": "[parts]",
}  # fmt: skip


class Head(nn.Module):
    """Outputs (B,T,H) and features (B,T,F) -> (B,K), or (B,T,K)."""

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.kind, self.score = kind, nn.Linear(width, 1)
        wide = {"beside": width + FEATURES, "meanmax": 2 * width, "lastmean": 2 * width}.get(kind, width)
        self.fc = nn.Linear(wide, CLASSES)
        self.mlp = nn.Sequential(nn.Linear(wide, wide), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(wide))
        self.fc.weight.data *= 4

    def forward(self, y: Tensor, f: Tensor) -> Tensor:
        if self.kind == "every":
            return self.fc(y)
        if self.kind == "attention":
            y = (self.score(y).softmax(1) * y).sum(1)
        elif self.kind == "mean":
            y = y.mean(1)
        elif self.kind == "max":
            y = y.max(1).values
        elif self.kind == "meanmax":
            y = torch.cat([y.mean(1), y.max(1).values], -1)
        elif self.kind == "lastmean":
            y = torch.cat([y[:, -1], y.mean(1)], -1)
        elif self.kind == "beside":
            y = torch.cat([y[:, -1], f[:, -1]], -1)
        elif self.kind == "logitmean":
            return self.fc(y).mean(1)
        elif self.kind == "select":
            y = y.select(1, STEPS - 1)
        elif self.kind == "view":
            y = y.reshape(-1, STEPS, y.shape[-1])[:, STEPS - 1]
        else:
            y = y[:, -1]
        return self.fc(self.mlp(y) if self.kind == "mlp" else y)


HEADS = (
    "last",
    "every",
    "attention",
    "mean",
    "max",
    "meanmax",
    "lastmean",
    "beside",
    "logitmean",
    "select",
    "view",
    "mlp",
)


class Output(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.extra = kind, nn.Linear(CLASSES, 2)

    def forward(self, z: Tensor, y: Tensor) -> Any:
        kinds = {
            "logits": lambda: z,
            "softmax": lambda: z.softmax(-1),
            "log_softmax": lambda: z.log_softmax(-1),
            "clamped": lambda: z.softmax(-1).clamp(1e-6, 1.0),
            "squeezed": lambda: z.softmax(-1).reshape(-1, CLASSES),
            "average": lambda: (z.softmax(-1) + (2 * z).softmax(-1)) / 2,
            "sigmoid": lambda: z.sigmoid(),
            "tanh": lambda: z.tanh(),
            "hidden": lambda: (z, y[:, -1]),
            "second": lambda: (z, self.extra(z).tanh()),
        }
        return kinds[self.kind]()


OUTPUTS = (
    "logits",
    "softmax",
    "log_softmax",
    "clamped",
    "squeezed",
    "average",
    "sigmoid",
    "hidden",
    "second",
)


class Network(nn.Module):
    """CNN over frames, recurrent layers, head, form of the output."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.encoder = ENCODERS[recipe.encoder](recipe.channels)
        self.between = BETWEEN[recipe.between][0]()
        self.recurrent = Recurrent(recipe.recurrent)
        self.head = Head(recipe.head, self.recurrent.width)
        self.output = Output(recipe.output)

    def forward(self, x: Tensor) -> Any:
        x = x.permute(*(self.recipe.axes.index(axis) for axis in "BTCHW"))
        b, t = x.shape[:2]
        f = self.encoder(x.reshape(b * t, *x.shape[2:])).view(b, t, -1)
        f = self.between(f)
        y = self.recurrent(f)
        return self.output(self.head(y, f), y)

    def refusal(self) -> str:
        """A word that the refusal has to contain; "" where the network streams."""
        r = self.recipe
        return BETWEEN[r.between][1] or RECURRENT[r.recurrent]


def build(recipe: Recipe) -> Network:
    torch.manual_seed(recipe.seed)
    net = Network(recipe).eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                module.running_mean += 0.1 * torch.randn_like(module.running_mean)
    return net


def random_recipe(seed: int) -> Recipe:
    """One recipe out of all combinations, most of which stream."""
    rng = np.random.default_rng(seed)

    def one(names: Any, usual: int) -> str:
        names = list(names)
        return names[int(rng.integers(usual))] if rng.random() < 0.85 else str(rng.choice(names))

    recipe = Recipe(
        encoder=str(rng.choice(list(ENCODERS))),
        between=one(BETWEEN, 4),
        recurrent=one(RECURRENT, 8),
        head=str(rng.choice(HEADS)),
        output=str(rng.choice(OUTPUTS)),
        exporter=str(rng.choice(["legacy", "dynamo"])),
        axes=str(rng.choice(["BTCHW", "BTCHW", "TBCHW", "BCTHW"])),
        channels=int(rng.choice([1, 3])),
        batch=str(rng.choice(["free", "free", "one", "two"])),
        seed=seed,
    )
    if recipe.recurrent == "none" and BETWEEN[recipe.between][1]:
        return replace(recipe, between="none")  # without a recurrent layer it would be a part of the head
    return recipe


def faces(recipe: Recipe, batch: int = 3, steps: int = STEPS, seed: int = 1) -> np.ndarray:
    """Random faces (B,T,C,S,S)."""
    shape = (batch, steps, recipe.channels, SIDE, SIDE)
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def window_of(recipe: Recipe, crops: np.ndarray) -> Tensor:
    """Faces (B,T,C,S,S) in the network's own order of axes."""
    order = ["BTCHW".index(axis) for axis in recipe.axes]
    return torch.from_numpy(np.ascontiguousarray(crops.transpose(order)))


@torch.inference_mode()
def answer(net: Network, crops: np.ndarray) -> np.ndarray:
    """First output of the network, of its last step: (B,K)."""
    out = net(window_of(net.recipe, crops))
    first = out[0] if isinstance(out, tuple) else out
    return first.reshape(len(crops), -1, CLASSES)[:, -1].numpy()  # some answer every frame, row by row


def exported(net: Network, path: Path) -> Path:
    """The ONNX file as its user would write it."""
    recipe = net.recipe
    rows = 1 if recipe.batch == "one" else 2
    x = window_of(recipe, faces(recipe, rows))
    at = recipe.axes.index("B")
    dynamo = recipe.exporter == "dynamo"
    more: dict[str, Any] = {"dynamo": dynamo}
    if recipe.batch == "free" and dynamo:
        more["dynamic_shapes"] = ({at: torch.export.Dim.AUTO},)
    elif recipe.batch == "free":
        more["dynamic_axes"] = {"input": {at: "B"}, "output": {0: "B"}}
    log = logging.getLogger("torch.onnx")
    log.setLevel(logging.ERROR)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        names = ["output", "other"] if recipe.output in ("hidden", "second") else ["output"]
        torch.onnx.export(
            net, (x,), str(path), input_names=["input"], output_names=names, opset_version=18, **more
        )
    return path
