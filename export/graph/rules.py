"""Rules of operators that leave time alone, or join all of it: shapes, elements, products, norms."""

from __future__ import annotations

from collections.abc import Callable

from onnx import NodeProto

from edge.errors import EdgeError
from export.graph.axes import Axes, Axis, holds, plain, regroup
from export.graph.nodes import attribute, label


def whole(node: NodeProto, axes: Axes) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze."""
    axes.of[node.output[0]] = regroup(axes.of[node.input[0]], axes.shape(node.output[0]), node)


def transpose(node: NodeProto, axes: Axes) -> None:
    layout = axes.of[node.input[0]]
    order = attribute(node, "perm") or list(range(len(layout)))[::-1]
    axes.of[node.output[0]] = tuple(layout[at] for at in order)


def elementwise(node: NodeProto, axes: Axes) -> None:
    """Same place, same time; inputs broadcast from the right."""
    out = list(plain(axes.shape(node.output[0])))
    for name in node.input:
        for back, axis in enumerate(reversed(axes.of.get(name, ()) if name else ()), 1):
            if holds(axis, "B") or holds(axis, "T"):
                if (holds(out[-back], "B") or holds(out[-back], "T")) and out[-back] != axis:
                    axes.mix(node, "joins different times")
                out[-back] = axis
    look_at_constants(node, axes, out)
    for name in node.output:
        axes.of[name] = tuple(out)


def look_at_constants(node: NodeProto, axes: Axes, out: list[Axis]) -> None:
    """A constant with another value for each time is a position within the window."""
    for name in node.input:
        if not name or axes.moves(name):
            continue
        shape = axes.shape(name)
        for back, length in enumerate(reversed(shape), 1):
            named = length > 1 and back <= len(out) and holds(out[-back], "T")
            if named and not axes.seen.equal_along(name, len(shape) - back):
                axes.mix(node, "adds the position within the window, such as an embedding of positions")


def rows(node: NodeProto, axes: Axes) -> None:
    """Pooling, norms of pictures, Gemm: rows stay rows, everything else is new."""
    layout = axes.of[node.input[0]]
    if any(holds(axis, "T") for axis in layout[1:]) or attribute(node, "transA", 0):
        axes.mix(node, "joins different times")
    elif any(holds(axis, "B") for axis in layout[1:]):
        raise EdgeError(f"{label(node)} joins the rows of a batch; faces must stay apart")
    axes.of[node.output[0]] = (layout[0], *plain(axes.shape(node.output[0])[1:]))


def same(node: NodeProto, axes: Axes) -> None:
    """Nothing moves. BatchNormalization in a trained network: one factor and one offset per channel."""
    for name in filter(None, node.output):
        axes.of[name] = axes.of[node.input[0]]
    if node.op_type == "BatchNormalization" and holds(axes.of[node.input[0]][1], "T"):
        axes.mix(node, "has a factor for each position within the window")


def matmul(node: NodeProto, axes: Axes) -> None:
    left, right = (axes.of.get(name) or plain(axes.shape(name)) for name in node.input)
    if holds(left[-1], "T") or holds(right[-2 if len(right) > 1 else 0], "T"):
        axes.mix(node, "adds up different times, as attention does")
    out = list(plain(axes.shape(node.output[0])))
    front = len(out) - (len(left) > 1) - (len(right) > 1)  # a vector has no axis of its own in the result
    for layout in (right, left):
        for back, axis in enumerate(reversed(layout[:-2]), 1):
            if holds(axis, "B") or holds(axis, "T"):
                out[front - back] = axis
    if len(left) > 1:
        out[front] = left[-2]
    if len(right) > 1:
        out[-1] = right[-1]
    if len(left) > 1 and len(right) > 1 and holds(left[-2], "T") and holds(right[-1], "T"):
        axes.mix(node, "compares different times, as attention does")
    axes.of[node.output[0]] = tuple(out)


def _axes_of(node: NodeProto, axes: Axes, rank: int) -> list[int]:
    given = attribute(node, "axes")
    if given is None and len(node.input) > 1 and node.input[1]:
        given = axes.seen.values[node.input[1]].reshape(-1).tolist()
    return [at % rank for at in (given if given else range(rank))]


def reduce(node: NodeProto, axes: Axes) -> None:
    layout = axes.of[node.input[0]]
    reduced = _axes_of(node, axes, len(layout))
    if any(holds(layout[at], "T") for at in reduced):
        axes.mix(node, "takes one value of all times in the window")
    if any(holds(layout[at], "B") for at in reduced):
        raise EdgeError(f"{label(node)} joins the rows of a batch; faces must stay apart")
    keep = bool(attribute(node, "keepdims", 1))
    left = [() if at in reduced else axis for at, axis in enumerate(layout) if keep or at not in reduced]
    axes.of[node.output[0]] = tuple(left)


def along(default: int, to_end: bool = False) -> Callable[[NodeProto, Axes], None]:
    """Softmax and the like: values along ``axis`` depend on each other."""

    def rule(node: NodeProto, axes: Axes) -> None:
        layout = axes.of[node.input[0]]
        first = attribute(node, "axis", default) % len(layout)
        joined = layout[first:] if to_end else layout[first : first + 1]
        if any(holds(axis, "T") for axis in joined):
            axes.mix(node, "weighs different times against each other")
        for name in node.output[:1]:
            axes.of[name] = layout

    return rule


def shape(node: NodeProto, axes: Axes) -> None:
    axes.of[node.output[0]] = plain(axes.shape(node.output[0]))
