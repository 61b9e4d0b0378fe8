"""What a window graph does when it runs: shapes, small values, and what moves when one frame changes.

The window runs five times: on random frames, on others, and with a single frame changed: the first and the
last of row 0, and one of row 1. Where a tensor moves tells which times and rows it depends on, whatever its
operators are called.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, numpy_helper

from edge.errors import EdgeError, reason
from export.graph.session import session
from export.graph.window import Window

_SMALL_BYTES = 1 << 20  # a tensor that is larger is not kept; its shape is inferred
_CHUNK_BYTES = 64 << 20

Array = npt.NDArray[Any]
Moved = tuple[Array, ...]  # for each axis of a tensor, whether anything at an index changed


@dataclass
class Observed:
    """Shapes of all tensors, values of the small ones, and what each changed frame moved in them.

    ``fixed`` names the tensors that no input changes. ``moved[tensor]`` has one entry per row of ``frames``,
    the (row, time) of the frame that was changed.
    """

    frames: tuple[tuple[int, int], ...]
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    values: dict[str, Array] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    moved: dict[str, tuple[Moved, ...]] = field(default_factory=dict)

    def equal_along(self, tensor: str, axis: int) -> bool:
        """Whether a tensor that no input changes has the same values at every index of ``axis``."""
        if tensor not in self.fixed or tensor not in self.values:
            return False
        value = self.values[tensor]
        return bool((value == np.take(value, [0], axis)).all())


class Observer:
    """Runs ``window`` with two rows, or with as many as its batch is fixed to."""

    def __init__(self, window: Window) -> None:
        rng = np.random.default_rng(0)
        self._window, self.rows = window, window.batch or 2
        base, other = (self._random(rng) for _ in range(2))
        last, row = window.steps - 1, min(1, self.rows - 1)
        frames = tuple(dict.fromkeys([(0, 0), (0, last), (row, last // 2)]))
        self._inputs = [base, other, *(self._changed(base, other, *frame) for frame in frames)]
        self.seen = Observed(frames)
        constants = {t.name: numpy_helper.to_array(t) for t in window.model.graph.initializer}
        self.seen.values |= constants
        self.seen.shapes |= {name: value.shape for name, value in constants.items()}
        self.seen.shapes[window.input] = base.shape
        self.seen.fixed |= set(constants)
        self._sizes = _inferred(window.model, window.input, base.shape)
        names = [name for node in window.model.graph.node for name in node.output if name]
        self.look(name for name in names if self._bytes(name) <= _SMALL_BYTES)
        for name in names:
            if name not in self.seen.shapes:
                self.seen.shapes[name] = self._sizes[name]

    def look(self, names: Iterable[str]) -> None:
        """Observe these tensors, too; not all of them at a time where they are large."""
        left = [name for name in names if name not in self.seen.moved]
        while left:
            chunk: list[str] = []
            total = 0
            while left and (not chunk or total + self._bytes(left[0]) <= _CHUNK_BYTES):
                total += self._bytes(left[0])
                chunk.append(left.pop(0))
            self._look(chunk)

    def _look(self, names: list[str]) -> None:
        runner = session(self._window.model, names)
        base: list[Array] = []
        moved: list[list[Moved]] = []
        for number, inputs in enumerate(self._inputs):
            try:
                results = runner.run(names, {self._window.input: inputs})
            except Exception as error:  # ONNX Runtime has one class per status and no common base
                raise EdgeError(
                    f"ONNX Runtime cannot run the window ({reason(error)}); export it again"
                ) from error
            if number == 0:
                base = results
            else:
                moved.append([_axes_of_change(a, b) for a, b in zip(base, results, strict=True)])
        for at, name in enumerate(names):
            self.seen.shapes[name] = np.shape(base[at])
            if np.size(base[at]) * 8 <= 2 * _SMALL_BYTES:
                self.seen.values[name] = np.asarray(base[at])
            if not any(axis.any() for row in moved for axis in row[at]):
                self.seen.fixed.add(name)
            self.seen.moved[name] = tuple(row[at] for row in moved[1:])

    def _random(self, rng: np.random.Generator) -> Array:
        return rng.standard_normal(self._window.shape(self.rows)).astype(np.float32)

    def _changed(self, base: Array, other: Array, row: int, time: int) -> Array:
        order = self._window.order
        place: list[Any] = [slice(None)] * base.ndim
        place[order.index("B")], place[order.index("T")] = row, time
        changed = base.copy()
        changed[tuple(place)] = other[tuple(place)]
        return changed

    def _bytes(self, name: str) -> int:
        return 4 * int(np.prod(self._sizes[name])) if name in self._sizes else 0


def _axes_of_change(before: Array, after: Array) -> Moved:
    if before.shape != after.shape:
        raise EdgeError(
            f"a tensor of the window is {before.shape} for one input and {after.shape} for another; "
            "a step needs fixed sizes"
        )
    changed = (before != after) & ~((before != before) & (after != after))
    if before.ndim == 0:
        return (np.atleast_1d(changed),)
    axes = range(before.ndim)
    return tuple(changed.any(axis=tuple(other for other in axes if other != axis)) for axis in axes)


def _inferred(model: ModelProto, name: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Shapes by ONNX's own inference, for this shape of the input; only whole ones."""
    fixed = ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]
    for value in fixed.graph.input:
        if value.name == name:
            for dim, size in zip(value.type.tensor_type.shape.dim, shape, strict=True):
                dim.dim_value = size
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(fixed, data_prop=True).graph
    found = {}
    for value in (*graph.value_info, *graph.output):
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim):
            found[value.name] = tuple(dim.dim_value for dim in kind.shape.dim)
    return found
