"""How each operator moves batch and time: the rules by which the layout of every tensor is found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import NodeProto

from edge.errors import EdgeError
from export.graph.axes import Axes, Axis, Layout, Values, attribute, holds, label, plain, regroup, size


def trace(nodes: list[NodeProto], start: dict[str, Layout], values: Values) -> Axes:
    """Follow batch and time from ``start`` through ``nodes``; ``values`` holds every tensor of one run.

    Raises EdgeError that names the node for an operator that is unknown or splits time.
    """
    steps = [length for layout in start.values() for axis in layout for name, length in axis if name == "T"]
    axes = Axes(dict(start), steps=steps[0])
    for node in nodes:
        if not any(axes.has(name, "B") or axes.has(name, "T") for name in node.input):
            for name in node.output:
                axes.of[name] = plain(np.shape(values[name])) if name in values else ()
            continue
        rule = _RULES.get(node.op_type)
        if rule is None:
            raise EdgeError(
                f"{label(node)}: no rule says how this operator treats time; replace it in the "
                f"network, or move it behind a supported one ({', '.join(sorted(_RULES))})"
            )
        rule(node, axes, values)
        _follow_picks(node, axes)
    return axes


def _follow_picks(node: NodeProto, axes: Axes) -> None:
    """A result belongs to the time of its inputs; different times are mixed, unless stacked in order."""
    times = [axes.picked[name] for name in node.input if name in axes.picked]
    if node in axes.picking or not times:
        return
    if node in axes.stacking:
        return
    if len(set(times)) > 1 or any(axes.has(name, "T") for name in node.input):
        axes.mixing.append(node)
    for name in node.output:
        axes.picked[name] = times[-1]


def _whole(node: NodeProto, axes: Axes, values: Values) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze."""
    axes.of[node.output[0]] = regroup(axes.of[node.input[0]], values[node.output[0]].shape, node)


def _transpose(node: NodeProto, axes: Axes, values: Values) -> None:
    layout = axes.of[node.input[0]]
    order = attribute(node, "perm") or list(range(len(layout)))[::-1]
    axes.of[node.output[0]] = tuple(layout[at] for at in order)


def _elementwise(node: NodeProto, axes: Axes, values: Values) -> None:
    """Same place, same time; inputs broadcast from the right."""
    out = list(plain(values[node.output[0]].shape))
    for name in node.input:
        layout = axes.of.get(name, ()) if name else ()
        for back, axis in enumerate(reversed(layout), 1):
            if holds(axis, "B") or holds(axis, "T"):
                out[-back] = axis
    for name in node.input:  # a constant with one value per time is as bad as a sum over times
        shape = values[name].shape if name in values and not axes.has(name, "T") else ()
        if any(length > 1 and holds(out[-back], "T") for back, length in enumerate(reversed(shape), 1)):
            axes.mixing.append(node)
    for name in node.output:
        axes.of[name] = tuple(out)


def _rows(node: NodeProto, axes: Axes, values: Values) -> None:
    """Convolution, pooling, norms of pictures, Gemm: rows stay rows, everything else is new."""
    layout = axes.of[node.input[0]]
    if any(holds(axis, "T") or holds(axis, "B") for axis in layout[1:]) or attribute(node, "transA", 0):
        axes.mixing.append(node)
    shape = values[node.output[0]].shape
    axes.of[node.output[0]] = (layout[0], *plain(shape[1:]))


def _matmul(node: NodeProto, axes: Axes, values: Values) -> None:
    left, right = (axes.of.get(name) or plain(values[name].shape) for name in node.input)
    if holds(left[-1], "T") or (len(right) > 1 and holds(right[-2], "T")):
        axes.mixing.append(node)
    out = list(plain(values[node.output[0]].shape))
    for layout in (right, left):
        for back, axis in enumerate(reversed(layout[:-2]), 3):
            if holds(axis, "B") or holds(axis, "T"):
                out[-back] = axis
    if len(left) > 1 and len(right) > 1:
        out[-2], out[-1] = left[-2], right[-1]
    axes.of[node.output[0]] = tuple(out)


def _axes_of(node: NodeProto, values: Values, rank: int) -> list[int]:
    given = attribute(node, "axes")
    if given is None and len(node.input) > 1 and node.input[1]:
        given = values[node.input[1]].reshape(-1).tolist()
    return [at % rank for at in (given if given else range(rank))]


def _reduce(node: NodeProto, axes: Axes, values: Values) -> None:
    layout = axes.of[node.input[0]]
    reduced = _axes_of(node, values, len(layout))
    if any(holds(layout[at], "T") for at in reduced):
        axes.mixing.append(node)
    if any(holds(layout[at], "B") for at in reduced):
        raise EdgeError(f"{label(node)} joins the rows of a batch; faces must stay apart")
    keep = bool(attribute(node, "keepdims", 1))
    left = [() if at in reduced else axis for at, axis in enumerate(layout) if keep or at not in reduced]
    axes.of[node.output[0]] = tuple(left)


def _along(default: int, to_end: bool = False) -> Callable[[NodeProto, Axes, Values], None]:
    """Softmax and the like: values along ``axis`` depend on each other."""

    def rule(node: NodeProto, axes: Axes, values: Values) -> None:
        layout = axes.of[node.input[0]]
        first = attribute(node, "axis", default) % len(layout)
        joined = layout[first:] if to_end else layout[first : first + 1]
        if any(holds(axis, "T") for axis in joined):
            axes.mixing.append(node)
        for name in node.output[:1]:
            axes.of[name] = layout

    return rule


def _gather(node: NodeProto, axes: Axes, values: Values) -> None:
    layout, index = axes.of[node.input[0]], values[node.input[1]]
    at = attribute(node, "axis", 0) % len(layout)
    if holds(layout[at], "T"):
        length = size(layout[at])
        if index.size == 1 and layout[at] == (("T", length),):
            _pick(node, axes, int(index.reshape(-1)[0]) % length)
        else:
            axes.mixing.append(node)
    axes.of[node.output[0]] = (*layout[:at], *plain(index.shape), *layout[at + 1 :])


def _slice(node: NodeProto, axes: Axes, values: Values) -> None:
    layout, before = axes.of[node.input[0]], values[node.input[0]]
    after = values[node.output[0]]
    out = []
    for at, axis in enumerate(layout):
        if before.shape[at] == after.shape[at]:
            out.append(axis)
            continue
        out.extend(plain(after.shape[at : at + 1]))
        if not holds(axis, "T"):
            continue
        same = [t for t in range(before.shape[at]) if np.array_equal(np.take(before, [t], at), after)]
        if len(same) == 1 and axis == (("T", size(axis)),):
            _pick(node, axes, same[0])
        else:
            axes.mixing.append(node)
    axes.of[node.output[0]] = tuple(out)


def _pick(node: NodeProto, axes: Axes, time: int) -> None:
    axes.picking.append(node)
    axes.picked[node.output[0]] = time


def _concat(node: NodeProto, axes: Axes, values: Values) -> None:
    _elementwise(node, axes, values)
    out = list(axes.of[node.output[0]])
    at = attribute(node, "axis", 0) % len(out)
    times = [axes.picked.get(name) for name in node.input]
    if times == list(range(axes.steps)) and values[node.output[0]].shape[at] == axes.steps:
        axes.stacking.append(node)
        out[at] = (("T", axes.steps),)
        axes.of[node.output[0]] = tuple(out)
        return
    if holds(out[at], "T") or holds(out[at], "B"):
        axes.mixing.append(node)
    out[at] = plain(values[node.output[0]].shape)[at]
    axes.of[node.output[0]] = tuple(out)


def _shape(node: NodeProto, axes: Axes, values: Values) -> None:
    axes.of[node.output[0]] = plain(values[node.output[0]].shape)


def _recurrent(node: NodeProto, axes: Axes, values: Values) -> None:
    layout = axes.of[node.input[0]]
    if attribute(node, "layout", 0):
        raise EdgeError(f"{label(node)} has layout 1, which no runtime computes; export it with layout 0")
    time, rows = layout[0], layout[1]
    if len(time) != 1 or time[0][0] != "T" or [atom[0] for atom in rows] != ["B"]:
        raise EdgeError(
            f"{label(node)}: its input is not (time, batch, features); export the network again with a free "
            "batch axis and whole frames, or pass --time-first where the input begins with time"
        )
    hidden: Axis = (("", attribute(node, "hidden_size")),)
    ends: Layout = ((), rows, hidden)
    for name, layout in zip(node.output, ((time, *ends), ends, ends), strict=False):
        axes.of[name] = layout


_Rule = Callable[[NodeProto, Axes, Values], None]
_ELEMENTWISE = """
    Abs Add Cast Ceil Clip Div Dropout Elu Equal Erf Exp Expand Floor Gelu Greater HardSigmoid HardSwish
    Identity LeakyRelu Less Log Max Min Mish Mul Neg PRelu Pow Reciprocal Relu Round Selu Sigmoid Sign
    Softplus Softsign Sqrt Sub Tanh ThresholdedRelu Where
"""
_ROWS = """
    AveragePool BatchNormalization Conv ConvTranspose DepthToSpace Gemm GlobalAveragePool GlobalMaxPool
    GroupNormalization InstanceNormalization LRN LpNormalization MaxPool Resize SpaceToDepth
"""
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(_ELEMENTWISE.split(), _elementwise),
    **dict.fromkeys(_ROWS.split(), _rows),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _whole),
    **dict.fromkeys(("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"), _reduce),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _along(-1)),
    "LayerNormalization": _along(-1, to_end=True),
    **dict.fromkeys(("GRU", "LSTM"), _recurrent),
    "Concat": _concat,
    "Gather": _gather,
    "MatMul": _matmul,
    "Shape": _shape,
    "Slice": _slice,
    "Transpose": _transpose,
}
