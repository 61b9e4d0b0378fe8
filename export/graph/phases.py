"""When a stream forgets: never, at the end of every window, or in two phases half a window apart.

All of it happens inside the step graph, so the runtime need not know.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from edge.errors import EdgeError
from export.graph.axes import Layout, holds
from export.graph.cells import Nodes

RESETS = ("never", "every-T", "two-phase")
AddState = Callable[[str, tuple[int, ...], str], None]
Keep = Callable[[str], None]


class Phases:
    """Wraps the states of a step; with two phases, rows from ``enter`` to ``leave`` are doubled.

    Phase 0 starts anew when the age of the window is 0, phase 1 when it is half of ``steps``.
    """

    def __init__(self, reset: str, steps: int, out: Nodes, add_state: AddState) -> None:
        self._two = reset == "two-phase"
        self.phased: set[str] = set()  # tensors with rows for each phase
        self._entered: dict[str, str] = {}
        self._out, self._add = out, add_state
        self._keep_old: str | None = None  # (rows,1): 0 where a phase starts anew
        self._half = out.constant(np.array(steps // 2, np.float32))
        if reset != "never":
            self._count(steps)

    def _count(self, steps: int) -> None:
        out, zero = self._out, self._out.constant(np.zeros((), np.float32))
        age = "state_age"
        older = out.add("Add", age, out.constant(np.ones((), np.float32)))
        within = out.add("Cast", out.add("Less", older, out.constant(np.array(steps, np.float32))), to=1)
        self._add(age, (1,), out.add("Mul", older, within))
        keep = out.add("Cast", out.add("Greater", age, zero), to=1)
        if self._two:
            second = out.add("Cast", out.add("Not", out.add("Equal", age, self._half)), to=1)
            keep = out.add("Concat", keep, second, axis=0)
        self._keep_old = keep

    def enter(self, tensor: str, layout: Layout) -> str:
        """``tensor`` with its rows for each phase, phase by phase; itself where that is so already."""
        if not self._two or tensor in self.phased:
            return tensor
        if tensor not in self._entered:
            at, axis = next((at, axis) for at, axis in enumerate(layout) if holds(axis, "B"))
            if next(name for name, length in axis if length > 1 or name == "B") not in ("B", "T"):
                raise EdgeError("--reset two-phase cannot tell the rows of this network apart; leave it out")
            self._entered[tensor] = self._out.add("Concat", tensor, tensor, axis=at)
            self.phased.add(self._entered[tensor])
        return self._entered[tensor]

    def state(self, name: str, shape: tuple[int, ...]) -> tuple[str, Keep]:
        """Current value (rows, *shape) of a state, and a function that takes the next one."""
        out, value = self._out, name
        if self._two:  # (N,2,...) in the manifest, phase by phase inside
            value = out.add("Transpose", value, perm=[1, 0, *range(2, 2 + len(shape))])
            value = out.add("Reshape", value, out.constant(np.array([-1, *shape], np.int64)))
        if self._keep_old is not None:
            gate = out.constant(np.array([-1, *[1] * len(shape)], np.int64))
            value = out.add("Mul", value, out.add("Reshape", self._keep_old, gate))

        def keep(new: str) -> None:
            if self._two:
                new = out.add("Reshape", new, out.constant(np.array([2, -1, prod(shape)], np.int64)))
                new = out.add("Transpose", new, perm=[1, 0, 2])
                new = out.add("Reshape", new, out.constant(np.array([-1, 2, *shape], np.int64)))
            self._add(name, (2, *shape) if self._two else shape, new)

        return value, keep

    def leave(self, logits: str, phased: bool) -> str:
        """Logits (N,K) of the phase that has seen more, where there are phases."""
        if not self._two or not phased:
            return logits
        first, second = self._out.add("Split", logits, outputs=2, axis=0, num_outputs=2)
        younger = self._out.add("Less", "state_age", self._half)
        return str(self._out.add("Where", younger, second, first))
