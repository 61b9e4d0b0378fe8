"""A network in PyTorch as its user gives it, looked at and ready to be exported."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import ModelProto
from torch import Tensor, nn

from edge.errors import ConfigError, EdgeError
from edge.system.cache import writable_cache
from edge.system.steps import Steps
from export import saved_network
from export.bundle.options import Options, check_labels, frames_shape
from export.graph.to_onnx import to_onnx
from export.graph.window import AXES
from export.load import build_model, step_module
from export.look import check_frames, check_network, order_of
from export.plain import Each, Plain, Reordered, Single, WithKept, choose
from export.weights.load import load_weights


@dataclass(frozen=True)
class Given:
    """What the user named: ``model`` is PKG.MOD:FUNCTION with ``weights``, or a file to trust."""

    model: str
    weights: Path | None = None
    weights_key: str | None = None
    trusted: bool = False
    parts: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Network:
    """The network as one over windows with one answer, and what it is exported by.

    ``step`` is its streaming step where it has one of its own or is given by its parts. ``graph`` makes the
    ONNX graph of the window from example frames.
    """

    whole: nn.Module
    options: Options
    graph: Callable[[Tensor], ModelProto]
    step: nn.Module | None = None

    @contextmanager
    def window(self, steps: Steps) -> Iterator[Path]:
        """Its window in an ONNX file, which is gone afterwards."""
        options = self.options
        if options.window is None and not options.smooth:
            raise EdgeError("the network works on windows: pass --window T, the length it was trained on")
        frames = torch.zeros(frames_shape(options))
        steps.begin("exporting the window with PyTorch")
        with tempfile.TemporaryDirectory(dir=writable_cache("tmp")) as folder:
            path = Path(folder) / "window.onnx"
            onnx.save_model(self.graph(frames.flatten(0, 1) if options.smooth else frames), str(path))
            yield path


def read(given: Given, settings: Mapping[str, Any], steps: Steps) -> Network:
    """Load a network, and refuse what cannot stream before minutes go into its export.

    ``settings`` are fields of Options. Raises EdgeError that names the module and the fix.
    """
    steps.begin(f"reading {given.model}")
    if saved_network.is_saved(given.model):
        return _saved(given, settings)
    options, model = Options(**settings), build_model(given.model)
    if given.weights is not None:
        steps.say(load_weights(model, given.weights, given.weights_key))
    step = step_module(model.eval(), given.parts)
    if step is model:
        return Network(model, options, _graph(model), step)
    steps.begin("looking at the network")
    if options.smooth:
        model = Single(model)
    shape = frames_shape(options)
    if not options.smooth and not options.time_first and (order := order_of(model, shape)) != "BTCHW":
        steps.say(f"the network takes frames as ({', '.join(AXES[axis] for axis in order)})")
        model = Reordered(model, order)
    check_network(model, shape, whole=step is None)
    network, told = choose(model, shape, options.time_first, options.output, options.keep)
    steps.say(told)
    options = replace(options, time_first=False)
    columns = check_network(network, frames_shape(options), step is None)[-1]
    if options.labels:
        # One output is yes or no, which are two labels, or a single value.
        check_labels(options.labels, columns if len(options.labels) == 1 else max(columns, 2), columns)
    exported: nn.Module = Each(network) if options.smooth else network
    if options.keep:
        exported = WithKept(network)
    return Network(network, options, _graph(exported, options.keep), step)


def _graph(network: nn.Module, keep: Sequence[str] = ()) -> Callable[[Tensor], ModelProto]:
    return lambda frames: to_onnx(network, (frames,), ["window"], ["logits", *keep])


def _saved(given: Given, settings: Mapping[str, Any]) -> Network:
    """A whole network from a file."""
    for value, name in ((given.weights, "--weights"), (given.parts, "[parts]")):
        if value:
            raise ConfigError(
                f"{name} does not go with --model {given.model}, which is whole; leave {name} out"
            )
    saved = saved_network.load(Path(given.model), given.trusted)
    options = Options(**{**settings, **_sizes(saved.shape, settings.get("time_first", False))})
    network: nn.Module = saved.module
    if options.smooth:
        network = Single(network, saved.shape[0] if saved.shape else None)
    else:
        check_frames(network, frames_shape(options), given.model)
    return Network(Plain(network, options.time_first), options, saved.graph)


def _sizes(shape: tuple[Any, ...] | None, time_first: bool) -> dict[str, int]:
    """Window, channels and size of frames (B,T,C,S,S) or (B,C,S,S), where a file fixes them."""
    if shape is None:
        return {}
    known = {"window": shape[not time_first]} if len(shape) == 5 else {}
    known |= {"channels": shape[-3], "size": shape[-2]}
    return {key: value for key, value in known.items() if value is not None}
