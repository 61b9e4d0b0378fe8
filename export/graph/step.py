"""A streaming step, as it is made of a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from edge.bundle import StateTensor
from export.graph.meaning import Answer


@dataclass(frozen=True)
class Row:
    """A tensor of the window that the step gives as rows (N,columns).

    ``order`` is that of its axes: BK, BTK, TBK or BKT.
    """

    tensor: str
    columns: int
    order: str

    def last(self, values: npt.NDArray[np.float32], rows: int) -> npt.NDArray[np.float32]:
        """Values (rows,columns) of the last time."""
        shaped = values.reshape([{"B": rows, "K": self.columns}.get(axis, -1) for axis in self.order])
        return np.take(shaped, -1, self.order.index("T")) if "T" in self.order else shaped


@dataclass(frozen=True)
class Step:
    """A step graph, its states, and where the window has the same answer."""

    model: ModelProto
    state: tuple[StateTensor, ...]
    classes: int
    answer: Answer  # the tensor of the window with the answer, and what it means
    order: str  # of its axes: BK, BTK, TBK or BKT
    left_out: tuple[str, ...] = ()  # further outputs of the window
    recurrent: tuple[str, ...] = ()  # nodes that carry a state from frame to frame
    looking_back: tuple[str, ...] = ()  # convolutions over time
    joining: tuple[str, ...] = ()  # nodes of the head that join the frames of the window
    kept: Mapping[str, Row] = field(default_factory=dict)  # further outputs of the step
    chains: bool = True  # whether windows can be run one after the other by carrying recurrent states alone

    @property
    def source(self) -> str:
        return self.answer.tensor

    def last(self, values: npt.NDArray[np.float32], rows: int) -> npt.NDArray[np.float32]:
        """Logits (rows,K) of the last step from the value of ``source``."""
        row = Row(self.source, self.answer.columns(self.classes), self.order)
        return self.answer.logits(row.last(values, rows))
