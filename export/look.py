"""A PyTorch network is run on a few frames and looked at, before minutes go into its export."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from edge.errors import EdgeError, reason
from export import blame
from export.graph.window import single_frames

_RECURRENT = (nn.RNNBase, nn.RNNCellBase)


def check_network(model: nn.Module, shape: tuple[int, ...], whole: bool = True) -> tuple[int, ...]:
    """Shape of the output for frames (B,T,C,S,S) of ``shape``; the first of several outputs counts.

    EdgeError, by the path of the module, for what cannot stream or gives no steady answer, in the modules
    that these frames reach; others may stay as they are. A ``whole`` network is exported with its loops.
    """
    check_frames(model, shape, "")
    frames = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    with _calls(model) as first:
        answer = _answer(model, frames)
    # In the order of calls: an encoder's fault is told before that of the recurrent layer behind it.
    for path, module, _ in first:
        check_module(path, module)
        if whole and isinstance(module, nn.RNNCellBase) and [p for p, *_ in first].count(path) > 1:
            raise blame.cell_in_a_loop().of(named(path, module))
    with _calls(model) as second:
        again = _answer(model, frames)
    if not _same(answer, again):
        raise blame.random().of(_first_random(first, second))
    return tuple(answer.shape)


def check_frames(model: nn.Module, shape: tuple[int, ...], name: str = "") -> None:
    """EdgeError where ``model`` takes single frames (B,C,S,S), but no windows of ``shape``."""
    frames = torch.zeros(shape)
    if not _runs(model, frames) and _runs(model, frames[:, 0]):
        raise single_frames(name or f"the network fails on windows {'x'.join(map(str, shape))}")


def order_of(model: nn.Module, shape: tuple[int, ...]) -> str:
    """The order of axes that ``model`` takes, "BTCHW" of ``shape`` unless it runs with another one alone."""
    sizes = dict(zip("BTCHW", shape, strict=True))
    others = ("BTCHW", "BCTHW", "BTHWC")
    runs = (o for o in others if _runs(model, torch.zeros([sizes[axis] for axis in o])))
    return next(runs, "BTCHW")


@torch.inference_mode()
def _runs(model: nn.Module, frames: Tensor) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model(frames)
    except Exception:  # the user's code may raise anything
        return False
    return True


def check_module(path: str, module: nn.Module) -> None:
    """EdgeError if this one module, at ``path`` of the network, keeps it from streaming."""
    place = named(path, module)
    if isinstance(module, nn.RNN | nn.RNNCell):
        raise blame.plain_rnn().of(place)
    if isinstance(module, nn.RNNBase):
        if module.bidirectional:
            raise blame.bidirectional().of(place)
        if module.proj_size:
            raise blame.projection(module.proj_size).of(place)
    if isinstance(module, _BatchNorm) and module.running_mean is None:
        raise blame.batch_statistics().of(place)
    if isinstance(module, _BatchNorm | nn.modules.dropout._DropoutNd) and module.training:
        raise blame.in_training().of(place)


def named(path: str, module: nn.Module) -> str:
    """The module in the user's words: 'encoder.gru' (GRU)."""
    path = re.sub(r"^((frames|original)(\.|$))+", "", path)  # export.plain stands around it
    return f"{path!r} ({type(module).__name__})" if path else f"the network ({type(module).__name__})"


Call = tuple[str, nn.Module, Any]  # path, module, what it gave


@contextmanager
def _calls(model: nn.Module) -> Iterator[list[Call]]:
    """The calls of modules, in the order in which they end."""
    calls: list[Call] = []

    def keep(path: str) -> Any:
        return lambda module, _, output: calls.append((path, module, output))

    hooks = [module.register_forward_hook(keep(path)) for path, module in model.named_modules()]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


@torch.inference_mode()
def _answer(model: nn.Module, frames: Tensor) -> Tensor:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how PyTorch computes it
            answer: Any = model(frames)
    except Exception as error:  # the user's code may raise anything
        shown = "x".join(map(str, frames.shape))
        raise EdgeError(
            f"the network fails on frames {shown} ({type(error).__name__}: {reason(error)[:200]}); pass "
            "--window, --size and --channels as in training"
        ) from error
    while isinstance(answer, (tuple, list, dict)) and answer:
        answer = next(iter(answer.values() if isinstance(answer, dict) else answer))
    if not isinstance(answer, Tensor):
        raise EdgeError(f"the network gives a {type(answer).__name__}, expected logits (batch, classes)")
    return answer


def _first_random(first: list[Call], second: list[Call]) -> str:
    """The first module whose answers differ; one without parts of its own, as these end before it."""
    for (path, module, one), (_, _, other) in zip(first, second, strict=False):
        if not _same(one, other):
            return named(path, module)
    return "the network"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and torch.allclose(one, other, atol=1e-5, equal_nan=True)
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return all(map(_same, one, other))
    return True
