"""A trained network over a window of frames, read from ONNX: its shapes, its constants, all its tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, TensorProto, numpy_helper

from edge.errors import EdgeError, reason
from export.graph import single
from export.graph.reading import PREFIX, at_our_opset, check_no_branches, fold, read
from export.graph.session import session
from export.graph.settle import lift_vectors, settle

AXES = {"B": "batch", "T": "time", "C": "channels", "H": "height", "W": "width"}


@dataclass(frozen=True)
class Window:
    """A window graph at opset 18 and what its input says.

    ``order`` names the five axes of the input, for example "BTCHW" or "TBHWC".
    """

    model: ModelProto
    input: str
    order: str
    batch: int | None  # None: free
    steps: int
    channels: int
    size: int

    def shape(self, batch: int, steps: int | None = None) -> tuple[int, ...]:
        """Input shape for ``batch`` rows."""
        sizes = {"B": batch, "T": steps or self.steps, "C": self.channels, "H": self.size, "W": self.size}
        return tuple(sizes[axis] for axis in self.order)

    def output(self, name: str = "") -> str:
        """The tensor of the output ``name``, by default the first; EdgeError lists what there is."""
        names = [value.name for value in self.model.graph.output]
        if not name:
            return names[0]
        if PREFIX + name not in names:
            shown = ", ".join(name.removeprefix(PREFIX) for name in names)
            raise EdgeError(f"--output {name!r} is no output of the network; it has {shown}")
        return PREFIX + name

    def from_crops(self, faces: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Normalized faces (B,T,C,S,S) in the order of axes of this input."""
        return faces.transpose(["BTCHW".index(axis) for axis in self.order])


def load(path: Path, steps: int | None = None, time_first: bool = False, smooth: int = 0) -> Window:
    """Read, check and fold a window graph; ``steps`` is needed where its time axis is free.

    A network over single frames becomes a window of ``smooth`` frames, at least 2. Raises EdgeError that
    names the value and the fix where ``path`` is no such graph.
    """
    model = read(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs)
        raise EdgeError(f"{path} has {len(inputs)} inputs ({names}), expected one window of frames")
    kind = inputs[0].type.tensor_type
    dims = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in kind.shape.dim]
    shown, name = "x".join(str(d or "?") for d in dims), inputs[0].name
    if len(dims) == 4 and kind.elem_type == TensorProto.FLOAT:
        if not smooth:
            raise single_frames(f"{path}: input {name!r} is {shown}")
        name = single.with_time(model, name, dims, max(smooth, 2))
        dims = [None, max(smooth, 2), *dims[1:]]
    elif smooth:
        raise EdgeError(f"{path}: its input is {shown}; --smooth is for single frames, leave it out")
    if len(dims) != 5 or kind.elem_type != TensorProto.FLOAT:
        raise EdgeError(
            f"{path}: input {name!r} is {shown}, expected float32 (batch, time, channels, height, width)"
        )
    order = _order(dims, time_first)
    time, batch = order.index("T"), order.index("B")
    channels, height, width = (dims[order.index(axis)] for axis in "CHW")
    if channels not in (1, 3) or not height or height != width:
        raise EdgeError(f"{path}: input is {shown}; frames must be square with 1 or 3 channels, sizes fixed")
    length = dims[time] or steps
    if length is None:
        raise EdgeError(
            f"{path}: its time axis is free ({shown}); pass --window T, the length it was trained on"
        )
    if steps not in (None, length):
        raise EdgeError(
            f"{path}: its windows have {length} frames, --window says {steps}; leave --window out"
        )
    if length < 2:
        raise EdgeError(f"{path}: a window of {length} frame says nothing about time; export at least 2")
    frames = Window(model, name, order, dims[batch], length, channels, height)
    if not any(node.op_type == "Loop" for node in model.graph.node):
        frames = _with_a_batch_that_runs(frames)
        rows = (frames.batch,) if frames.batch else (1, 2, 3)
        settle(model, name, [frames.shape(number) for number in rows])
    check_no_branches(model)
    frames = replace(frames, model=fold(at_our_opset(path, model)), input=PREFIX + name)
    lift_vectors(frames.model)
    _check_loops(path, frames)
    return frames


def single_frames(what: str) -> EdgeError:
    """The error for a network that has no time axis, which ``what`` describes."""
    return EdgeError(
        f"{what}: the network looks at single frames; pass --smooth N for the mean of its last N answers, "
        "or --smooth 1 for each by itself"
    )


def _with_a_batch_that_runs(frames: Window) -> Window:
    """Some exports declare a free batch, but hold that of their example in a constant: mostly one or two.

    One row may run beside two that are held, as it is repeated; so the largest number counts.
    """
    if frames.batch is not None:
        return frames
    runner, works = session(frames.model), []
    for rows in (1, 2, 3):
        try:
            runner.run(None, {frames.input: np.zeros(frames.shape(rows), np.float32)})
            works.append(rows)
        except Exception as error:  # ONNX Runtime has one class per status and no common base
            fault = reason(error)
    if not works:
        raise EdgeError(
            f"the graph says that its batch is free, but runs with neither 1 nor 2 rows ({fault})"
        )
    return frames if 3 in works else replace(frames, batch=works[-1])


def _order(dims: list[int | None], time_first: bool) -> str:
    """The axes of the input; channels may stand before time, as for convolutions over both."""
    if time_first:
        return "TBCHW" if dims[2] in (1, 3) else "TBHWC"
    if dims[2] in (1, 3):
        return "BTCHW"
    return "BCTHW" if dims[1] in (1, 3) and dims[4] not in (1, 3) else "BTHWC"


def _check_loops(path: Path, frames: Window) -> None:
    """EdgeError where a Loop was taken for a GRU and the graph no longer gives the same result."""
    original = onnx.load(str(path))
    if not any(node.op_type == "Loop" for node in original.graph.node):
        return
    shape = frames.shape(frames.batch or 2)
    faces = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    before = session(original).run(None, {frames.input.removeprefix(PREFIX): faces})[0]
    after = session(frames.model).run(None, {frames.input: faces})[0]
    if not np.allclose(before, after, atol=1e-4):
        raise EdgeError(f"{path}: a Loop over time is not a known form of GRU; export it as one operator")


def run_all(window: Window, faces: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[Any]]:
    """Every tensor of the graph, constants too, for one input in the graph's own order of axes."""
    graph = window.model.graph
    names = [name for node in graph.node for name in node.output if name]
    computed = zip(names, session(window.model, names).run(names, {window.input: faces}), strict=True)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return {window.input: faces, **constants, **dict(computed)}
