"""A recurrent operator of the window as one step with explicit states, and the ring buffer of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto

from edge.errors import EdgeError
from export.graph import cells
from export.graph.axes import attribute, label
from export.graph.cells import Nodes
from export.graph.phases import Phases


class Recurrence:
    """Writes GRU and LSTM nodes of a window into ``out``.

    ``values`` holds every tensor of one run of the window, ``fixed`` the names of those that no input
    changes. ``steps`` is the length of the window.
    """

    def __init__(
        self, out: Nodes, phases: Phases, values: Mapping[str, npt.NDArray[Any]], fixed: set[str], steps: int
    ) -> None:
        self._out, self._phases = out, phases
        self._values, self._fixed, self._steps = values, fixed, steps

    def write(self, node: NodeProto, number: int, keep_window: bool) -> None:
        """Write layer ``number`` as one step; with ``keep_window`` its output is the last T outputs."""
        hidden = attribute(node, "hidden_size")
        width = self._values[node.input[0]].shape[-1]
        self._check_lengths(node)
        x = self._out.add("Reshape", node.input[0], self._out.constant(np.array([-1, width], np.int64)))
        if number == 0:
            x = self._phases.enter(x)
        h, to_state = self._remember(f"state_h{number}", (hidden,), self._initial(node, 5))
        if node.op_type == "GRU":
            h_new = cells.gru(self._out, node, x, h, self._values)
            to_state(h_new)
        else:
            c, keep = self._remember(f"state_c{number}", (hidden,), self._initial(node, 6))
            h_new, c_new = cells.lstm(self._out, node, x, h, c, self._values)
            to_state(h_new)
            keep(c_new)
            self._name(node, 2, c_new, hidden)
        self._name(node, 1, h_new, hidden)
        if keep_window:
            self._name_window(node, self._buffer(h_new, hidden))
        else:
            self._name(node, 0, h_new, hidden)

    def _check_lengths(self, node: NodeProto) -> None:
        if len(node.input) > 4 and node.input[4]:
            lengths = self._values[node.input[4]]
            if node.input[4] not in self._fixed or (lengths != self._steps).any():
                raise EdgeError(f"{label(node)} has sequence lengths (a mask); export it for whole windows")

    def _initial(self, node: NodeProto, at: int) -> npt.NDArray[np.float32] | None:
        """Row (H,) of a constant initial state; None where it is zero."""
        if len(node.input) <= at or not node.input[at]:
            return None
        value = self._values[node.input[at]].reshape(-1, attribute(node, "hidden_size"))
        if node.input[at] not in self._fixed or (value != value[0]).any():
            raise EdgeError(f"{label(node)}: its initial state depends on the input; make it constant")
        return value[0] if value.any() else None

    def _remember(self, name: str, shape: tuple[int, ...], initial: npt.NDArray[np.float32] | None) -> Any:
        """Current value of a state, and a function that takes its next value.

        The runtime starts every state at zero: a constant initial state is added to what comes in and
        subtracted from what goes out.
        """
        value, keep = self._phases.state(name, shape)
        if initial is None:
            return value, keep
        offset = self._out.constant(initial)
        return (self._out.add("Add", value, offset), lambda new: keep(self._out.add("Sub", new, offset)))

    def _buffer(self, newest: str, hidden: int) -> str:
        """The last T outputs (N,T,H); rows before the first step repeat the first output."""
        steps = self._steps
        old, keep = self._phases.state("state_window", (steps, hidden))
        seen, mark = self._phases.state("state_seen", (1, 1))
        one = self._out.constant(np.ones((1, 1, 1), np.float32))
        row = self._out.add("Unsqueeze", newest, self._out.constant(np.array([1], np.int64)))
        ends = [self._out.constant(np.array([at], np.int64)) for at in (1, steps, 1)]
        shifted = self._out.add("Slice", old, *ends)
        filled = self._out.add("Add", shifted, self._out.add("Mul", self._out.add("Sub", one, seen), row))
        window = self._out.add("Concat", filled, row, axis=1)
        keep(window)
        mark(self._out.add("Max", seen, one))
        return str(window)

    def _name(self, node: NodeProto, at: int, rows: str, hidden: int) -> None:
        """Give rows (N,H) the shape and name of output ``at`` of the recurrent node."""
        if len(node.output) <= at or not node.output[at]:
            return
        shape = np.array([1, 1, -1, hidden] if at == 0 else [1, -1, hidden], np.int64)
        self._out.alias(self._out.add("Reshape", rows, self._out.constant(shape)), node.output[at])

    def _name_window(self, node: NodeProto, window: str) -> None:
        """Give the buffer (N,T,H) the shape and name of the whole sequence of outputs."""
        window = self._out.add("Transpose", window, perm=[1, 0, 2])
        axis = self._out.constant(np.array([1], np.int64))
        self._out.alias(self._out.add("Unsqueeze", window, axis), node.output[0])
