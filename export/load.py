"""A user's PyTorch network: built by a function, weights as data, parts named in a file."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from edge.errors import EdgeError
from export.look import check_module

PARTS = ("encoder", "recurrent", "head")


def build_model(entry: str) -> nn.Module:
    """What the function ``pkg.mod:function`` gives; EdgeError where it cannot be imported or called."""
    module_name, colon, function = entry.partition(":")
    if not (colon and module_name and function):
        raise EdgeError(f"--model {entry!r} is not of the form package.module:function, such as net:build")
    sys.path.insert(0, "")  # the user's own module lies in the current folder more often than not
    try:
        model = getattr(importlib.import_module(module_name), function)()
    except ModuleNotFoundError as error:
        raise EdgeError(
            f"--model {entry}: there is no module {error.name!r}; call from the folder that it lies in, or "
            "install it"
        ) from error
    except Exception as error:  # the user's code may raise anything
        raise EdgeError(f"--model {entry}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove("")
    if not isinstance(model, nn.Module):
        raise EdgeError(f"--model {entry} gave a {type(model).__name__}, expected a torch.nn.Module")
    return model


class PartsStep(nn.Module):
    """One step from the named parts of a window network.

    ``encoder`` maps a face (N,C,S,S) to features (N,F). ``recurrent`` is a torch GRU, LSTM or cell.
    ``head`` maps its last hidden state (N,H) to logits (N,K).
    """

    def __init__(self, model: nn.Module, parts: Mapping[str, str]) -> None:
        super().__init__()
        modules = {name: _part(model, parts, name) for name in PARTS}
        self.encoder, self.head = modules["encoder"], modules["head"]
        self.lstm, self.cells = _cells(modules["recurrent"], parts["recurrent"])
        names = [
            f"state_{letter}{n}" for n in range(len(self.cells)) for letter in ("hc" if self.lstm else "h")
        ]
        self.state = dict.fromkeys(names, (self.cells[0].hidden_size,))

    def forward(self, face: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Logits (N,K) and the new states (N,H)."""
        x, new = self.encoder(face).flatten(1), []
        for number, cell in enumerate(self.cells):
            if self.lstm:
                x, c = cell(x, (state[2 * number], state[2 * number + 1]))
                new += [x, c]
            else:
                x = cell(x, state[number])
                new.append(x)
        return self.head(x), *new


def _part(model: nn.Module, parts: Mapping[str, str], name: str) -> nn.Module:
    try:
        return model.get_submodule(parts[name])
    except KeyError:
        raise EdgeError(f"[parts] has no {name!r}; it needs {', '.join(PARTS)}") from None
    except AttributeError as error:
        names = ", ".join(child for child, _ in model.named_children())
        raise EdgeError(
            f"[parts] {name} = {parts[name]!r} is not a part of the model; it has {names}"
        ) from error


def _cells(layer: nn.Module, name: str) -> tuple[bool, nn.ModuleList]:
    """Whether it is an LSTM, and one cell per layer with the layer's own weights."""
    if isinstance(layer, nn.GRUCell | nn.LSTMCell):
        return isinstance(layer, nn.LSTMCell), nn.ModuleList([layer])
    check_module(name, layer)
    if not isinstance(layer, nn.GRU | nn.LSTM):
        raise EdgeError(f"[parts] recurrent = {name!r} is a {type(layer).__name__}, expected GRU or LSTM")
    kind = nn.LSTMCell if isinstance(layer, nn.LSTM) else nn.GRUCell
    cells = nn.ModuleList()
    for number in range(layer.num_layers):
        width = layer.input_size if number == 0 else layer.hidden_size
        cell = kind(width, layer.hidden_size, bias=layer.bias)
        cell.load_state_dict({key: getattr(layer, f"{key}_l{number}") for key in cell.state_dict()})
        cells.append(cell)
    return isinstance(layer, nn.LSTM), cells


def step_module(model: nn.Module, parts: Mapping[str, Any] | None) -> nn.Module | None:
    """The step of ``model``: itself where it has the reference family's interface, else from its parts.

    None where it has neither, so that its whole window must be exported.
    """
    if parts:
        return PartsStep(model, parts).eval()
    return model if isinstance(getattr(model, "state", None), dict) else None
