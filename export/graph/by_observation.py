"""Where batch and time lie in a tensor, by what moved in it when single frames were changed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt
from onnx import NodeProto

from edge.errors import EdgeError
from export.graph.axes import Axes, Axis, Layout, holds, plain
from export.graph.nodes import label

_ORDERS = (("B", "T"), ("T", "B"), ("B",), ("T",))


def layout(tensor: str, axes: Axes) -> Layout | None:
    """The layout that explains what was seen in ``tensor``; None where there is none or more than one."""
    shape, rows = axes.shape(tensor), _rows(axes)
    fitting = []
    for choice in product(*(list(_axes_of(length, rows, axes.steps)) for length in shape)):
        names = sorted(atom[0] for axis in choice for atom in axis if atom[0])
        if names == ["B", "T"] and _explains(choice, tensor, axes):
            fitting.append(choice)
    return fitting[0] if len(fitting) == 1 else None


def rows(tensor: str, node: NodeProto, axes: Axes) -> Layout:
    """The layout of a result that depends on several times: like an input of its shape, or rows alone.

    EdgeError where rows are joined, or cannot be told apart.
    """
    shape = axes.shape(tensor)
    alike = [axes.of[name] for name in node.input if axes.moves(name) and axes.shape(name) == shape]
    first = ((("B", _rows(axes)),), *plain(shape[1:])) if shape and shape[0] == _rows(axes) else ()
    for found in (*alike, first):
        if found and _rows_apart(found, tensor, axes):
            return found
    raise EdgeError(
        f"{label(node)} joins the rows of a batch, or cannot be followed; replace it in the network"
    )


def check(node: NodeProto, axes: Axes) -> None:
    """Compare the layout of each result with what was seen: a rule may be wrong about an operator.

    Nothing is expected of what already mixes times, or depends on something recurrent.
    """
    for name in filter(None, node.output):
        if name not in axes.seen.moved or not axes.moves(name):
            continue
        if not _rows_apart(axes.of[name], name, axes):
            raise EdgeError(f"{label(node)} joins the rows of a batch; faces must stay apart")
        if _per_frame(node, axes) and not _explains(axes.of[name], name, axes):
            axes.mix(node, "joins different times")


def _per_frame(node: NodeProto, axes: Axes) -> bool:
    """Whether each frame alone should decide what ``node`` gives for it."""
    shifted = any(axes.shift.get(name) for name in (*node.input, *node.output))
    return not (axes.joined & set(node.output) or shifted or axes.picked.keys() & set(node.output))


def _explains(found: Layout, tensor: str, axes: Axes) -> bool:
    """Whether every changed frame moved nothing but its own place."""
    for frame, moved in zip(axes.seen.frames, axes.seen.moved[tensor], strict=True):
        for axis, changed in zip(found, moved, strict=False):
            if (changed & ~_own(axis, frame)).any():
                return False
    return True


def _rows_apart(found: Layout, tensor: str, axes: Axes) -> bool:
    """Whether a changed frame moved nothing in other rows."""
    for (row, _), moved in zip(axes.seen.frames, axes.seen.moved[tensor], strict=True):
        for axis, changed in zip(found, moved, strict=False):
            if holds(axis, "B") and (changed & ~_own(axis, (row, None))).any():
                return False
    return True


def _own(axis: Axis, frame: tuple[int, int | None]) -> npt.NDArray[np.bool_]:
    """For each index of ``axis`` whether it belongs to the (row, time) of ``frame``; time None: to any."""
    own = np.ones(1, bool)
    for name, length in axis or (("", 1),):
        at = {"B": frame[0], "T": frame[1]}.get(name)
        part = np.ones(length, bool) if at is None else np.arange(length) == at
        own = (own[:, None] & part[None]).reshape(-1)
    return own


def _axes_of(length: int, rows: int, steps: int) -> Iterator[Axis]:
    """What an axis of ``length`` may hold."""
    sizes = {"B": rows, "T": steps}
    yield plain((length,))[0]
    for order in _ORDERS:
        rest, remainder = divmod(length, int(np.prod([sizes[name] for name in order])))
        if remainder or not rest:
            continue
        named = tuple((name, sizes[name]) for name in order)
        yield named if rest == 1 else (*named, ("", rest))
        if rest > 1:
            yield (("", rest), *named)


def _rows(axes: Axes) -> int:
    return next(
        length for layout in axes.of.values() for axis in layout for name, length in axis if name == "B"
    )
