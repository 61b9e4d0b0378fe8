"""The table of docs/export.md: what becomes of each kind of network, found by making and running one.

``python tests/helpers/kinds.py`` writes it anew; ``tests/export/test_any_network.py`` holds each row.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import networks

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
PLAIN = networks.Recipe()
KINDS: dict[str, dict[str, str]] = {
    "encoder": {
        "plain": "convolutions, BatchNorm, pooling",
        "grouped": "groups of channels, GroupNorm, LayerNorm, PReLU",
        "depthwise": "MobileNet, EfficientNet: depthwise convolutions, squeeze and excitation",
        "shuffle": "ShuffleNet: channels split, shuffled and joined",
        "vit": "ViT: patches, a class token, attention within the frame",
        "padded": "reflected padding, pixel unshuffle, InstanceNorm, a resize",
    },
    "between": {
        "linear": "linear layers and Dropout",
        "layernorm": "LayerNorm",
        "batchnorm": "BatchNorm1d over (B,F,T)",
        "causal": "a convolution over the last times (TCN)",
        "centered": "a convolution over times around each",
        "positions": "an embedding of positions in the window",
        "shifted": "differences to the frame before",
        "attention": "attention between frames",
        "windownorm": "features standardized over the window",
    },
    "recurrent": {
        "gru": "GRU",
        "gru2": "GRU, two layers",
        "lstm": "LSTM",
        "lstm2": "LSTM, two layers without bias",
        "timefirst": "GRU with time first",
        "learned": "GRU with a learned initial state",
        "beside": "GRU and LSTM beside each other",
        "skip": "GRU with a skip around it",
        "none": "none: features go to the head",
        "bi": "bidirectional GRU",
        "flip": "a second direction by `flip`",
        "rnn": "`nn.RNN`",
        "cell": "`nn.GRUCell` in a loop",
        "lstmcell": "`nn.LSTMCell` in a loop",
    },
    "head": {
        "last": "the last step",
        "every": "an answer for each frame",
        "attention": "attention over the window",
        "mean": "mean over the window",
        "max": "maximum over the window",
        "meanmax": "mean and maximum",
        "lastmean": "last step and mean",
        "beside": "last step and features of the last frame",
        "logitmean": "mean of each frame's logits",
        "select": "`select` of the last step",
        "view": "a `view` with the window's length in it",
        "mlp": "linear layers and BatchNorm1d",
    },
    "output": {
        "logits": "logits",
        "softmax": "softmax",
        "log_softmax": "log-softmax",
        "clamped": "softmax, clamped",
        "squeezed": "softmax, then a reshape",
        "average": "mean of two softmaxes",
        "sigmoid": "independent sigmoids",
        "tanh": "values between -1 and 1, such as valence and arousal",
        "hidden": "`(logits, hidden)`",
        "second": "a second head",
    },
    "axes": {"TBCHW": "(T,B,C,H,W), by `--time-first`", "BCTHW": "(B,C,T,H,W)"},
    "batch": {"one": "exported for a batch of one", "two": "exported for a batch of two"},
}
TITLES = {
    "encoder": "Encoder", "between": "Before the memory", "recurrent": "Memory", "head": "Head",
    "output": "Output", "axes": "Frames", "batch": "Batch",
}  # fmt: skip
Judge = Callable[[networks.Recipe, Path], tuple[str, str]]


def row(field: str, name: str, judged: Judge, folder: Path) -> str:
    """The row of one kind, by what becomes of a network that differs from a plain one in this alone."""
    verdict, told = judged(replace(PLAIN, **{field: name}), folder)
    what = {"equal": "streams", "refused": f"refused: {_plain(told)}"}.get(verdict, verdict)
    return f"| {TITLES[field]} | {KINDS[field][name]} | {what} |"


def _plain(line: str) -> str:
    """Without what would end a cell or begin markup."""
    return re.sub(r"([|<>*_\[\]])", r"\\\1", line)


def main() -> int:
    sys.path.append(str(Path(__file__).parents[1]))  # last: it has folders named like packages
    from any_network import judged

    with tempfile.TemporaryDirectory() as folder:
        rows = [row(field, name, judged, Path(folder)) for field in KINDS for name in KINDS[field]]
    table = "\n".join(["| Part | Kind | What happens |", "|---|---|---|", *rows])
    text = PAGE.read_text("utf-8")
    PAGE.write_text(
        re.sub(
            r"(<!-- kinds -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{table}\n{m[2]}", text, flags=re.DOTALL
        ),
        "utf-8",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
