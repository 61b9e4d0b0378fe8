"""A whole network from a file: TorchScript, or an exported program (.pt2). Both can run code of their own."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import ModelProto
from torch import Tensor, nn

from edge.errors import EdgeError, reason
from export.graph.reading import IR_VERSION, OPSET
from export.weights import archive

SUFFIXES = (".pt", ".pth", ".ts", ".jit", ".torchscript", ".pt2")
_NAMES: dict[str, Any] = {"input_names": ["window"], "output_names": ["logits"], "opset_version": OPSET}


@dataclass(frozen=True)
class SavedNetwork:
    """The network, and its graph in ONNX from example frames; ``shape`` of these where the file fixes it.

    None stands for a free batch.
    """

    module: nn.Module
    graph: Callable[[Tensor], ModelProto]
    shape: tuple[Any, ...] | None = None


def is_saved(model: str) -> bool:
    """Whether ``model`` (of --model) is a file, not a function."""
    return Path(model).suffix in SUFFIXES or Path(model).is_file()


def load(path: Path, trusted: bool) -> SavedNetwork:
    """The network in ``path``; EdgeError where it is not ``trusted``, holds weights alone, or is damaged."""
    if not path.is_file():
        raise EdgeError(f"no file {path}; --model takes PKG.MOD:FUNCTION, a TorchScript file or a .pt2")
    kind = archive.kind(path)
    if kind not in ("torchscript", "exported"):
        raise EdgeError(
            f"{path} holds weights or a pickle, no network; pass it as --weights, and as --model the "
            "function that builds the network (PKG.MOD:FUNCTION)"
        )
    if not trusted:
        raise EdgeError(
            f"{path} is a whole network, which can run any code when it is read; pass --trust-file if you "
            "know who made it"
        )
    try:
        with quiet():
            return _scripted(path) if kind == "torchscript" else _exported(path)
    except Exception as error:  # both readers raise anything
        raise EdgeError(f"{path} cannot be read ({reason(error)[:200]}); save the network again") from error


def _scripted(path: Path) -> SavedNetwork:
    module = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    return SavedNetwork(module, partial(_guarded, path, partial(_script_graph, module)))


def _script_graph(module: nn.Module, frames: Tensor) -> ModelProto:
    """By the older exporter, which follows TorchScript; the newer one takes modules only."""
    content = io.BytesIO()
    axes = {name: {0: "B"} for name in ("window", "logits")}
    file: Any = content  # it takes files, too, though its annotations do not say so
    torch.onnx.export(module, (frames,), file, dynamo=False, dynamic_axes=axes, **_NAMES)
    return onnx.load_from_string(content.getvalue())


def _exported(path: Path) -> SavedNetwork:
    program = torch.export.load(path)
    users = {spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"}
    shapes = [node.meta["val"].shape for node in program.graph.nodes if node.name in users]
    if len(shapes) != 1 or len(shapes[0]) not in (4, 5):
        told = ", ".join("x".join(map(str, shape)) for shape in shapes)
        raise EdgeError(
            f"it takes {told or 'nothing'}, expected one window (batch, time, channels, height, width), "
            "or frames (batch, channels, height, width)"
        )
    shape = tuple(size if isinstance(size, int) else None for size in shapes[0])  # a free axis is a symbol
    return SavedNetwork(program.module(), partial(_guarded, path, lambda _: _program_graph(program)), shape)


def _program_graph(program: Any) -> ModelProto:
    made = torch.onnx.export(program, dynamo=True, verbose=False, **_NAMES)
    assert made is not None
    made.model_proto.ir_version = IR_VERSION
    return made.model_proto


def _guarded(path: Path, graph: Callable[[Tensor], ModelProto], frames: Tensor) -> ModelProto:
    try:
        with quiet():
            return graph(frames)
    except Exception as error:  # the exporters' errors have no common base
        raise EdgeError(
            f"PyTorch cannot export {path} ({reason(error)[:200]}); pass --onnx its own export, or --model "
            "PKG.MOD:FUNCTION"
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No warnings of the exporters, which concern their makers, and nothing on standard output."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
