"""Where batch and time lie in every tensor of a window graph.

Each axis of a tensor is a tuple of atoms ``(name, size)``: ``("B", 2)``, ``("T", 16)`` or ``("", 48)``.
Reshapes split and join atoms, transposes move them, and an operator that would join different times
is recorded as mixing. So the rewriter knows what a reshape means, not only which numbers it holds.
``export.graph.layouts`` has the rules per operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy.typing as npt
from onnx import NodeProto, helper

from edge.errors import EdgeError

Atom = tuple[str, int]
Axis = tuple[Atom, ...]
Layout = tuple[Axis, ...]
Values = Mapping[str, npt.NDArray[Any]]


@dataclass
class Axes:
    """``of[tensor]`` for every tensor, and what nodes do to time.

    ``picked[tensor]`` is the time that a tensor was taken from, where a node picked one out of all;
    ``picking`` holds those nodes, ``stacking`` the nodes that put all times side by side again. Results of
    the nodes in ``mixing`` depend on several times at once.
    """

    of: dict[str, Layout]
    mixing: list[NodeProto] = field(default_factory=list)
    picking: list[NodeProto] = field(default_factory=list)
    stacking: list[NodeProto] = field(default_factory=list)
    picked: dict[str, int] = field(default_factory=dict)
    steps: int = 0  # length of the time axis

    def has(self, tensor: str, name: str) -> bool:
        """Whether ``tensor`` has an axis of batch ("B") or time ("T")."""
        return any(atom[0] == name for axis in self.of.get(tensor, ()) for atom in axis)


def label(node: NodeProto) -> str:
    """Operator and name, for messages."""
    return f"{node.op_type} node {node.name or node.output[0]!r}"


def plain(shape: tuple[int, ...]) -> Layout:
    """Layout of a tensor without batch and time."""
    return tuple((("", size),) if size != 1 else () for size in shape)


def size(axis: Axis) -> int:
    return prod(atom[1] for atom in axis)


def holds(axis: Axis, name: str) -> bool:
    return any(atom[0] == name for atom in axis)


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """Value of an attribute of ``node``."""
    for entry in node.attribute:
        if entry.name == name:
            return helper.get_attribute_value(entry)
    return default


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
