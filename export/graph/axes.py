"""Where batch and time lie in every tensor of a window graph.

Each axis of a tensor is a tuple of atoms ``(name, size)``: ``("B", 2)``, ``("T", 16)`` or ``("", 48)``.
Reshapes split and join atoms, transposes move them, and an operator that would join different times
is recorded as mixing. So the rewriter knows what a reshape means, not only which numbers it holds.
``export.graph.layouts`` has the rules per operator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from onnx import NodeProto

from edge.errors import EdgeError
from export.graph.nodes import label
from export.graph.observe import Observed

Atom = tuple[str, int]
Axis = tuple[Atom, ...]
Layout = tuple[Axis, ...]


@dataclass
class Axes:
    """``of[tensor]`` for every tensor, and what nodes do to time.

    Results of the nodes in ``mixing`` depend on several times at once; the value says how. ``picking`` holds
    the nodes that take one time out of all, and ``picked[tensor]`` that time; ``stacking`` those that put all
    times side by side again. ``past`` holds convolutions over time by their outputs, ``reach`` the number of
    earlier times that they need. ``shift[tensor]`` is the time at the first place of its
    time axis, where that is not 0: padding and convolutions move it.
    """

    of: dict[str, Layout]
    seen: Observed
    steps: int  # length of the window
    mixing: dict[str, tuple[NodeProto, str]] = field(default_factory=dict)
    picking: list[NodeProto] = field(default_factory=list)
    stacking: list[NodeProto] = field(default_factory=list)
    picked: dict[str, int] = field(default_factory=dict)
    past: dict[str, NodeProto] = field(default_factory=dict)
    reach: dict[str, int] = field(default_factory=dict)
    shift: dict[str, int] = field(default_factory=dict)
    needed: set[str] = field(default_factory=set)  # tensors that a recurrent layer depends on
    joined: set[str] = field(default_factory=set)  # results that may depend on several times

    def has(self, tensor: str, name: str) -> bool:
        """Whether ``tensor`` has an axis of batch ("B") or time ("T")."""
        return any(atom[0] == name for axis in self.of.get(tensor, ()) for atom in axis)

    def moves(self, tensor: str) -> bool:
        """Whether ``tensor`` has an axis of batch or time."""
        return self.has(tensor, "B") or self.has(tensor, "T")

    def mix(self, node: NodeProto, how: str) -> None:
        """Record that the results of ``node`` depend on several times."""
        self.mixing.setdefault(node.output[0], (node, how))

    def shape(self, tensor: str) -> tuple[int, ...]:
        return self.seen.shapes[tensor]


def plain(shape: tuple[int, ...]) -> Layout:
    """Layout of a tensor without batch and time."""
    return tuple((("", size),) if size != 1 else () for size in shape)


def size(axis: Axis) -> int:
    return prod(atom[1] for atom in axis)


def holds(axis: Axis, name: str) -> bool:
    return any(atom[0] == name for atom in axis)


def regroup(layout: Layout, shape: tuple[int, ...], node: NodeProto) -> Layout:
    """Deal the atoms of ``layout``, in order, out to axes of ``shape``."""
    atoms = [atom for axis in layout for atom in axis if atom[0] or atom[1] != 1]
    out: list[Axis] = []
    for wanted in shape:
        taken: list[Atom] = []
        while atoms and (size(tuple(taken)) < wanted or (wanted == 1 and atoms[0][1] == 1)):
            name, length = atoms.pop(0)
            room = wanted // size(tuple(taken))
            if length > room:  # an unnamed atom may be cut, batch and time may not
                if name or length % room:
                    raise EdgeError(f"{label(node)} cuts through {_axis_name(name)}; reshape whole axes only")
                atoms.insert(0, ("", length // room))
                length = room
            taken.append((name, length))
        if size(tuple(taken)) != wanted:
            raise EdgeError(f"{label(node)} merges axes in a way that cannot be traced")
        out.append(tuple(taken))
    if atoms:  # a batch of one that has disappeared
        raise EdgeError(
            f"{label(node)} drops {_axis_name(atoms[0][0])}; export the network with a free batch axis"
        )
    return tuple(out)


def _axis_name(name: str) -> str:
    return {"B": "the batch axis", "T": "the time axis"}.get(name, "an axis")
