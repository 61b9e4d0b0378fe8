"""Which tensors of a checkpoint are the weights of a network: under what key, behind what prefix."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from edge.errors import EdgeError

Tensors = Mapping[str, Tensor]
_DEEPEST, _SHOWN = 6, 5
_WRAPPERS = {"_orig_mod": "torch.compile", "module": "DataParallel"}
_AVERAGED = re.compile(r"(^|[._-])(ema|swa|avg|averaged?|teacher|shadow)", re.IGNORECASE)
_OPTIONAL = "num_batches_tracked"  # counters of BatchNorm, which PyTorch before 0.4.1 did not save


@dataclass(frozen=True)
class Match:
    """A mapping of tensors compared with a network.

    ``key`` is the way to it ("state_dict", "" for the whole file), ``prefix`` what stands before every name.
    ``tensors`` have the network's names.
    """

    key: str
    prefix: str
    tensors: Tensors
    missing: Sequence[str] = ()
    unexpected: Sequence[str] = ()
    shapes: Sequence[str] = ()  # a sentence for each tensor of another shape
    beside: Sequence[str] = ()  # names without the prefix: of other networks, such as a loss

    @property
    def name(self) -> str:
        """Key and prefix in one, as --weights-key takes it; there "." is the whole file."""
        return ".".join(part for part in (self.key, self.prefix.rstrip(".")) if part)

    @property
    def fits(self) -> bool:
        return not (self.missing or self.unexpected or self.shapes)


def choose(network: Tensors, content: Any, key: str | None = None) -> tuple[Match, list[Match]]:
    """The weights of ``network`` (its state dict) in ``content``, and others that would fit as well.

    Averaged weights (EMA, SWA) give way to plain ones. EdgeError, without the file's name, where nothing
    fits, or where several differ and ``key`` does not say which.
    """
    found = list(_mappings(content))
    if not found:
        raise EdgeError(f"holds no tensors{_told(content)}; save model.state_dict()")
    matches = [match for key_of, tensors in found for match in _compare(network, key_of, tensors)]
    if key is not None:
        wanted = key.strip(".")
        matches = [match for match in matches if wanted in (match.key, match.name)]
        if not matches:
            names = ", ".join(repr(key_of or ".") for key_of, _ in found)
            raise EdgeError(f"has no weights under --weights-key {key}; there are {names}")
    fitting = [match for match in matches if match.fits]
    if not fitting:
        # max takes the first of equals, the outermost.
        raise EdgeError(_misfit(max(matches, key=lambda match: len(match.tensors) - len(match.shapes))))
    plain = [match for match in fitting if not _AVERAGED.search(match.name)] or fitting
    if any(not _equal(plain[0].tensors, other.tensors) for other in plain[1:]):
        names = ", ".join(repr(match.name or ".") for match in plain[:_SHOWN])
        raise EdgeError(f"holds several weights that fit and differ: {names}; name one with --weights-key")
    return plain[0], [match for match in fitting if match is not plain[0]]


def wrapper(prefix: str) -> str:
    """Who writes such a prefix, in brackets, or nothing."""
    names = dict.fromkeys(_WRAPPERS[part] for part in prefix.split(".") if part in _WRAPPERS)
    return f" ({', '.join(names)})" if names else ""


def _mappings(value: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, Tensors]]:
    """Every mapping that holds tensors under names, outermost first, with the way to it."""
    if isinstance(value, Mapping):
        tensors = {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, Tensor)}
        if tensors:
            yield key, tensors
        inner: Any = value.items()
    else:
        inner = enumerate(value) if isinstance(value, (list, tuple)) else ()
    if depth < _DEEPEST:
        for name, item in inner:
            if isinstance(item, (Mapping, list, tuple)):
                yield from _mappings(item, f"{key}.{name}" if key else str(name), depth + 1)


def _compare(network: Tensors, key: str, tensors: Tensors) -> Iterator[Match]:
    """The mapping as it is and without each prefix; without the names of wrappers if nothing else fits."""
    matches = [_match(network, key, prefix, tensors) for prefix in _prefixes(network, tensors)]
    yield from matches
    names, short = _unwrapped(network), _unwrapped(tensors)
    unchanged = list(names) == list(network) and list(short) == list(tensors)
    one_to_one = len(names) == len(network) and len(short) == len(tensors)
    if unchanged or not one_to_one or any(match.fits for match in matches):
        return
    bare = {name: network[long] for name, long in names.items()}
    inside = {name: tensors[long] for name, long in short.items()}
    for match in (_match(bare, key, prefix, inside) for prefix in _prefixes(bare, inside)):
        if match.fits:
            back = {names[name]: tensor for name, tensor in match.tensors.items()}
            beside = [short[name] for name in match.beside]
            yield Match(key, _wrapped_by(tensors) + match.prefix, back, beside=beside)
            return


def _prefixes(network: Mapping[str, Any], tensors: Mapping[str, Any]) -> list[str]:
    """What stands before names of the network, most frequent first; at least "", which is nothing."""
    votes: Counter[str] = Counter({"": 0})
    for name in tensors:
        parts = name.split(".")
        votes.update(
            "".join(f"{part}." for part in parts[:at])
            for at in range(len(parts))
            if ".".join(parts[at:]) in network
        )
    return [prefix for prefix, _ in votes.most_common(2 * _SHOWN)]


def _match(network: Tensors, key: str, prefix: str, tensors: Tensors) -> Match:
    inside = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
    taken = {name: inside[name] for name in network if name in inside}
    return Match(
        key,
        prefix,
        taken,
        [name for name in network if name not in inside and not name.endswith(_OPTIONAL)],
        [prefix + name for name in inside if name not in network],
        [
            f"{name} is {_shape(value)}, expected {_shape(network[name])}"
            for name, value in taken.items()
            if value.shape != network[name].shape
        ],
        [name for name in tensors if not name.startswith(prefix)],
    )


def _unwrapped(names: Mapping[str, Any]) -> dict[str, str]:
    """Names without the parts that wrappers add anywhere -> the whole names."""
    return {".".join(part for part in name.split(".") if part not in _WRAPPERS): name for name in names}


def _wrapped_by(names: Mapping[str, Any]) -> str:
    parts = {part for name in names for part in name.split(".")}
    return "".join(f"{part}." for part in _WRAPPERS if part in parts)


def _equal(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def _misfit(match: Match) -> str:
    where = f" (under {match.name!r})" if match.name else ""
    kinds = {"missing": match.missing, "unexpected": match.unexpected, "of another shape": match.shapes}
    told = "; ".join(f"{len(names)} {what}: {_first(names)}" for what, names in kinds.items() if names)
    return f"does not fit the model{where}: {told}; build the network that these weights were trained in"


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a scalar"


def _told(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f", but a {type(content).__name__}"
    return f", but the keys {_first([str(key) for key in content])}" if content else ", it is empty"
