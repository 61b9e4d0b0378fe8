"""A network as its user wrote it, in the form that the rest works on: windows (B,T,C,S,S) in, rows out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edge.errors import EdgeError
from export.graph.meaning import TINY, Answer


class Plain(nn.Module):
    """``network`` with one answer (B,K) for each window (B,T,C,S,S).

    ``time_first`` networks take (T,B,...). Of several outputs ``output`` is taken, by default the first. Of
    an answer for each frame, (B,T,K), (T,B,K) or (B*T,K), the last one is; ``time`` is its axis of time
    where that is another one, (B,K,T) or (B,T).
    """

    def __init__(
        self,
        network: nn.Module,
        time_first: bool = False,
        output: str = "",
        time: int | None = None,
        keep: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.original, self._time_first, self._output = network, time_first, output
        self._time, self._keep = time, keep

    def chosen(self, frames: Tensor) -> Tensor:
        """The output that is taken, as the network gives it."""
        return self._taken(self._answers(frames))

    def forward(self, frames: Tensor) -> Tensor:
        rows, steps = frames.shape[:2]
        return self._last(self.chosen(frames), rows, steps, self._time)

    def with_kept(self, frames: Tensor) -> tuple[Tensor, ...]:
        """The answer, and the outputs that are kept."""
        (rows, steps), answers = frames.shape[:2], self._answers(frames)
        kept = [self._last(answers[name], rows, steps, None) for name in self._keep]
        return self._last(self._taken(answers), rows, steps, self._time), *kept

    def _answers(self, frames: Tensor) -> dict[str, Tensor]:
        return named(self.original(frames.transpose(0, 1) if self._time_first else frames))

    def _taken(self, answers: dict[str, Tensor]) -> Tensor:
        return answers[self._output or next(iter(answers))]

    def _last(self, answer: Tensor, rows: int, steps: int, time: int | None) -> Tensor:
        if time is not None:
            return answer.select(time, -1).reshape(rows, -1)
        if answer.dim() == 3:
            return answer[-1] if self._time_first else answer[:, -1]
        if answer.dim() == 2 and answer.shape[0] == rows * steps and steps > 1:
            whole = (steps, rows, -1) if self._time_first else (rows, steps, -1)
            return answer.reshape(whole)[-1] if self._time_first else answer.reshape(whole)[:, -1]
        return answer.reshape(rows, -1)


class WithKept(nn.Module):
    """For export: the answer of a network and the outputs that are kept."""

    def __init__(self, network: Plain) -> None:
        super().__init__()
        self.frames = network

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        return self.frames.with_kept(frames)


class Reordered(nn.Module):
    """A ``network`` over frames of another order of axes, such as "BCTHW", as one over (B,T,C,S,S)."""

    def __init__(self, network: nn.Module, order: str) -> None:
        super().__init__()
        self.original, self._places = network, tuple("BTCHW".index(axis) for axis in order)

    def forward(self, frames: Tensor) -> Any:
        return self.original(frames.permute(self._places))


class Single(nn.Module):
    """A ``network`` over single frames (N,C,S,S), as one over windows (B,T,C,S,S) with answers (B*T,K).

    ``rows`` is the size of its batches where that is fixed.
    """

    def __init__(self, network: nn.Module, rows: int | None = None) -> None:
        super().__init__()
        self.original, self._rows = network, rows

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        every = frames.flatten(0, 1)
        if self._rows is None:
            return named(self.original(every))
        parts = [named(self.original(part)) for part in torch.split(every, self._rows)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


class Each(nn.Module):
    """What ``Single`` stands around, from frames (N,C,S,S) to the one output (N,K) that is taken."""

    def __init__(self, frames: Plain) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, frames: Tensor) -> Tensor:
        return self.frames.chosen(frames.unsqueeze(1))


class Averaged(nn.Module):
    """Means (B,K) over the window of what single frames answer, whose meaning is ``answer``."""

    def __init__(self, frames: Plain, answer: Answer) -> None:
        super().__init__()
        self._frames, self._answer = frames, answer

    def forward(self, frames: Tensor) -> Tensor:
        values = self._frames.chosen(frames).flatten(1)
        return self._shares(values).reshape(*frames.shape[:2], -1).mean(1)

    def _shares(self, values: Tensor) -> Tensor:
        """Probabilities of what the network itself gives; values stay as they are."""
        answer = self._answer
        if answer.kind == "values":
            return values
        made = answer.closing in ("Softmax", "Sigmoid") or answer.form in (
            "probabilities",
            "chances",
            "chance",
        )
        if answer.form in ("odds", "chance"):
            yes = values if made else values.sigmoid()
            return torch.cat([1 - yes, yes], 1)
        if made:
            return values
        return values.sigmoid() if answer.kind == "sigmoid" else values.softmax(-1)


class Meant(nn.Module):
    """A step in PyTorch whose answers are no logits: with the nodes that make them so."""

    def __init__(self, step: nn.Module, answer: Answer) -> None:
        super().__init__()
        self.step, self.answer, self.state = step, answer, step.state
        self.extra = getattr(step, "extra", {})

    def forward(self, face: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Logits (N,K), the new states, and whatever else the step gives."""
        values, *rest = self.step(face, *state)
        form = self.answer.form
        if form == "probabilities":
            values = values.clamp_min(TINY).log()
        if form in ("chances", "chance"):
            values = values.clamp_min(TINY).log() - (1 - values).clamp_min(TINY).log()
        if form in ("odds", "chance"):
            values = torch.cat([values - values, values], 1)
        return values, *rest


def named(value: Any) -> dict[str, Tensor]:
    """All tensors that a network gives, by name: output, output_1, ..., or the keys of a dict."""
    if isinstance(value, Mapping):
        return {str(key): inner for key in value for inner in _tensors(value[key])}
    found = list(_tensors(value))
    return {f"output_{at}" if at else "output": tensor for at, tensor in enumerate(found)}


def choose(
    network: nn.Module, shape: tuple[int, ...], time_first: bool, output: str, keep: Sequence[str] = ()
) -> tuple[Plain, str]:
    """The network with one answer, and one line about outputs that are left out ("" if there are none).

    ``shape`` is that of frames as the network takes them. EdgeError lists its outputs if ``output`` is none.
    """
    frames = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        answers = named(network(frames))
    if not answers:
        raise EdgeError("the network gives no tensor; let forward() return logits (batch, classes)")
    shown = ", ".join(
        f"{name} ({'x'.join(map(str, value.shape[1:])) or 1})" for name, value in answers.items()
    )
    for option, name in (("--output", output), *(("--keep", name) for name in keep)):
        if name and name not in answers:
            raise EdgeError(f"{option} {name!r} is no output of the network; it has {shown}")
    taken = output or next(iter(answers))
    others = [name for name in answers if name != taken and name not in keep]
    told = f"takes the output {taken!r} of {shown}; see --output and --keep" if others else ""
    time = None if time_first else _time_axis(Plain(network, output=taken), frames)
    return Plain(network, time_first, output, time, keep).eval(), told


@torch.inference_mode()
def _time_axis(network: Plain, frames: Tensor) -> int | None:
    """The last axis of an answer, if it is time, as in (B,K,T) and (B,T); by what the last frame moves."""
    steps, changed = frames.shape[1], frames.clone()
    changed[:, -1] = 1 - changed[:, -1]
    answer = network.chosen(frames)
    if answer.dim() not in (2, 3) or answer.shape[-1] != steps or answer.shape[0] != frames.shape[0]:
        return None
    moved = (answer != network.chosen(changed)).flatten(0, -2).any(0)
    return answer.dim() - 1 if moved[-1] and not moved[:-1].any() else None


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for inner in value:
            yield from _tensors(inner)
