"""A head over the whole window: what it reads of every time is kept, the last values of each sequence.

Before a window is full, the times that have not been seen repeat the first one.
"""

from __future__ import annotations

from math import prod

import numpy as np
from onnx import NodeProto

from edge.errors import EdgeError
from export.graph.axes import Atom, Axes, holds
from export.graph.cells import Nodes
from export.graph.phases import Phases


class Head:
    """The part of the window that depends on several times; ``region`` names its tensors."""

    def __init__(self, nodes: list[NodeProto], axes: Axes, out: Nodes, phases: Phases) -> None:
        self._axes, self._out, self._phases = axes, out, phases
        self.region: set[str] = set()
        makers = {name: node for node in nodes for name in node.output}
        for node in nodes:
            if node.output[0] in axes.mixing or self.region & set(node.input):
                self.region |= set(node.output)
                self._take_picks(node, makers)
        self._kept: dict[str, str] = {}
        self._seen: str | None = None

    def holds(self, node: NodeProto) -> bool:
        return bool(self.region & set(node.output))

    def _take_picks(self, node: NodeProto, makers: dict[str, NodeProto]) -> None:
        """Times that were taken out of a sequence before the head joins them are taken out of its window."""
        for name in node.input:
            if name in self._axes.picked and name not in self.region and not self._axes.has(name, "T"):
                self.region |= set(makers[name].output)
                if makers[name] not in self._axes.picking:
                    self._take_picks(makers[name], makers)

    def window(self, name: str) -> str:
        """The last T values of the sequence ``name``, in its own order of axes."""
        if name not in self._kept:
            self._kept[name] = self._keep(name)
            self._phases.phased.add(self._kept[name])
        return self._kept[name]

    def _keep(self, name: str) -> str:
        out, layout = self._out, self._axes.of[name]
        steps, atoms = self._axes.steps, [atom for axis in layout for atom in axis]
        if ("T", steps) not in atoms or self._axes.shift.get(name):
            raise EdgeError(f"{name!r} has not one value for each frame, so its window cannot be kept")
        entered = self._phases.enter(name, layout)
        order = sorted(range(len(atoms)), key=lambda at: ({"B": 0, "T": 1}.get(atoms[at][0], 2), at))
        row = tuple(atoms[at][1] for at in order[2:])
        now = out.add("Reshape", entered, _sizes(out, atoms, 1))
        now = out.add("Reshape", out.add("Transpose", now, perm=order), self._numbers(-1, 1, *row))
        old, keep = self._phases.state(
            f"state_window{len(self._kept)}" if self._kept else "state_window", (steps, *row)
        )
        window = out.add("Concat", self._filled(old, now, len(row)), now, axis=1)
        keep(window)
        window = out.add("Transpose", window, perm=[order.index(at) for at in range(len(order))])
        return str(out.add("Reshape", window, self._numbers(*(_length(axis) for axis in layout))))

    def _filled(self, old: str, now: str, rank: int) -> str:
        """All but the oldest value (N,T-1,...), the newest one where there was none."""
        out, steps = self._out, self._axes.steps
        shifted = out.add("Slice", old, *(self._numbers(at) for at in (1, steps, 1)))
        if self._seen is None:
            one = out.constant(np.ones((1, 1), np.float32))
            seen, mark = self._phases.state("state_seen", (1,))
            mark(out.add("Max", seen, one))
            self._seen = out.add("Sub", one, seen)
        missing = out.add("Reshape", self._seen, self._numbers(-1, 1, *[1] * rank))
        return str(out.add("Add", shifted, out.add("Mul", missing, now)))

    def _numbers(self, *values: int) -> str:
        return self._out.constant(np.array(values, np.int64))


def _sizes(out: Nodes, atoms: list[Atom], time: int) -> str:
    sizes = [{"B": -1, "T": time}.get(name, length) for name, length in atoms]
    return out.constant(np.array(sizes, np.int64))


def _length(axis: tuple[Atom, ...]) -> int:
    return -1 if holds(axis, "B") else prod(length for _, length in axis)
