"""Why a network cannot stream, and what to do about it: one sentence for each reason, wherever it is found.

The look at a PyTorch module, the rewriting of a graph, and `inspect` all say it in these words.
"""

from __future__ import annotations

from typing import NamedTuple

from edge.errors import EdgeError


class Reason(NamedTuple):
    """Both halves of a refusal."""

    why: str
    fix: str

    def of(self, place: str) -> EdgeError:
        """The error that names ``place``: a module's path with its class, or a node."""
        return EdgeError(f"{place} {self.why}; {self.fix}")


def bidirectional(what: str = "bidirectional") -> Reason:
    """``what``: the direction, as a node tells it."""
    return Reason(
        f"is {what}: it needs frames that have not happened yet, so it cannot stream",
        "train a forward network",
    )


def projection(size: int) -> Reason:
    return Reason(
        f"has proj_size {size}, a projection of the hidden state that ONNX has no operator for",
        "train it without proj_size, or put a Linear layer behind it",
    )


def plain_rnn() -> Reason:
    return Reason("is a plain RNN, which is not written out as a step here", "use nn.GRU and train again")


def cell_in_a_loop() -> Reason:
    return Reason(
        "is a cell in a loop over time, which an export unrolls",
        "name it under [parts] in --config, or use nn.GRU or nn.LSTM",
    )


def joins_times(how: str, convolution: bool) -> Reason:
    """``how``: what a node before a recurrent layer does to time."""
    fix = "what the stream has not seen cannot be used: train it without that, or name [parts] that do"
    if convolution:
        fix = "train it with padding on the side of the past alone, or without it"
    return Reason(f"{how}, before a recurrent layer, so it cannot stream", fix)


def batch_statistics() -> Reason:
    return Reason(
        "normalizes with the statistics of the batch, so that one face changes the answer for another",
        "train it with track_running_stats=True",
    )


def in_training() -> Reason:
    return Reason(
        "is still in training mode after eval()", "let train() of the modules around it pass its argument on"
    )


def random() -> Reason:
    return Reason(
        "gives another answer to the same frames each time",
        "turn dropout and noise off in evaluation: nn.Dropout, or F.dropout(x, p, self.training)",
    )
