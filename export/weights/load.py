"""Weights from a file into a network, and one line on what was taken off them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from edge.errors import EdgeError
from export.weights import archive
from export.weights.choose import Match, choose, wrapper

_NETWORKS = {"torchscript": "TorchScript", "exported": "an exported program"}


def load_weights(model: nn.Module, path: Path, key: str | None = None) -> str:
    """Load ``path`` (.safetensors, or a checkpoint of torch.save) into ``model``; ``key`` is --weights-key.

    Returns one line on what was unwrapped, empty where the file is a plain state dict. EdgeError, in one
    line, where nothing in it fits the model, or a value is not finite.
    """
    if not path.is_file():
        raise EdgeError(f"no weights at {path}; pass --weights a .safetensors file or a saved state dict")
    if (what := _NETWORKS.get(archive.kind(path))) is not None:
        raise EdgeError(
            f"{path} is {what}: a whole network, not weights alone; pass it as --model {path} --trust-file, "
            "without --weights"
        )
    content = archive.read(path)
    network = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    try:
        match, others = choose(network, content.value, key)
    except EdgeError as error:
        if module := next(_modules(content.value), None):
            raise _pickled(path, *module) from error
        raise EdgeError(f"{path} {error}") from error
    bad = [
        n for n, value in match.tensors.items() if value.is_floating_point() and not value.isfinite().all()
    ]
    if bad:
        raise EdgeError(f"{path}: {bad[0]!r} holds values that are not finite; take an earlier checkpoint")
    model.load_state_dict(dict(match.tensors), strict=False)  # strictly compared before
    return _unwrapped(path, match, others, content.left_out)


def _modules(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Key and class of each pickled module at the top of a file or one level below."""
    if archive.is_module(value):
        yield key, archive.class_of(value)
    elif isinstance(value, dict) and not key:
        for name, item in value.items():
            yield from _modules(item, str(name))


def _pickled(path: Path, key: str, name: str) -> EdgeError:
    model = f"model[{key!r}]" if key else "model"
    where = f" under {key!r}" if key else ""
    return EdgeError(
        f"{path} holds a pickled module{where}, {name}, which may run any code when it is read: refused; "
        f"save the weights alone with torch.save({model}.state_dict(), ...) or as safetensors"
    )


def _unwrapped(path: Path, match: Match, others: list[Match], left_out: tuple[str, ...]) -> str:
    told = []
    if match.key:
        told.append(f"weights under {match.key!r}")
    if match.prefix:
        told.append(f"prefix {match.prefix!r}{wrapper(match.prefix)} taken off")
    if match.beside:
        more = f" and {len(match.beside) - 5} more" if len(match.beside) > 5 else ""
        told.append(f"left out {', '.join(match.beside[:5])}{more}")
    if others:
        told.append(f"not {', '.join(repr(other.name or '.') for other in others)} (see --weights-key)")
    if left_out:
        told.append(f"nothing made of {', '.join(left_out)}")
    return f"{path.name}: {'; '.join(told)}" if told else ""
