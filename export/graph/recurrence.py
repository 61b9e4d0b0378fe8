"""A recurrent operator of the window as one step with explicit states."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto

from edge.errors import EdgeError
from export.graph import cells
from export.graph.axes import Axes
from export.graph.cells import Nodes
from export.graph.nodes import attribute, label
from export.graph.observe import Observed
from export.graph.phases import Phases


class Recurrence:
    """Writes GRU and LSTM nodes of a window of ``steps`` frames into ``out``."""

    def __init__(self, out: Nodes, phases: Phases, seen: Observed, steps: int) -> None:
        self._out, self._phases, self._seen, self._steps = out, phases, seen, steps

    def write(self, node: NodeProto, number: int, axes: Axes) -> None:
        """Write layer ``number`` as one step."""
        hidden = attribute(node, "hidden_size")
        width = self._seen.shapes[node.input[0]][-1]
        self._check_lengths(node)
        x = self._phases.enter(node.input[0], axes.of[node.input[0]])
        x = self._out.add("Reshape", x, self._out.constant(np.array([-1, width], np.int64)))
        h, to_state = self._remember(f"state_h{number}", (hidden,), self._initial(node, 5))
        if node.op_type == "GRU":
            h_new = cells.gru(self._out, node, x, h, self._seen.values)
            to_state(h_new)
        else:
            c, keep = self._remember(f"state_c{number}", (hidden,), self._initial(node, 6))
            h_new, c_new = cells.lstm(self._out, node, x, h, c, self._seen.values)
            to_state(h_new)
            keep(c_new)
            self._name(node, 2, c_new, hidden)
        self._name(node, 1, h_new, hidden)
        self._name(node, 0, h_new, hidden)
        self._phases.phased.update(node.output)

    def _check_lengths(self, node: NodeProto) -> None:
        if len(node.input) > 4 and node.input[4]:
            lengths = self._seen.values[node.input[4]]
            if node.input[4] not in self._seen.fixed or (lengths != self._steps).any():
                raise EdgeError(f"{label(node)} has sequence lengths (a mask); export it for whole windows")

    def _initial(self, node: NodeProto, at: int) -> npt.NDArray[np.float32] | None:
        """Row (H,) of a constant initial state; None where it is zero."""
        if len(node.input) <= at or not node.input[at]:
            return None
        value = self._seen.values[node.input[at]].reshape(-1, attribute(node, "hidden_size"))
        if node.input[at] not in self._seen.fixed or (value != value[0]).any():
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

    def _name(self, node: NodeProto, at: int, rows: str, hidden: int) -> None:
        """Give rows (N,H) the shape and name of output ``at`` of the recurrent node."""
        if len(node.output) <= at or not node.output[at]:
            return
        shape = np.array([1, 1, -1, hidden] if at == 0 else [1, -1, hidden], np.int64)
        self._out.alias(self._out.add("Reshape", rows, self._out.constant(shape)), node.output[at])
