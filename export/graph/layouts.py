"""How each operator moves batch and time: the rules by which the layout of every tensor is found.

An operator without a rule is judged by what it was seen to do, and every rule is checked against that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import NodeProto

from edge.errors import EdgeError
from export.graph import by_observation
from export.graph.axes import Axes, Axis, Layout, holds, plain, regroup, size
from export.graph.nodes import attribute, label
from export.graph.observe import Observer


def trace(nodes: list[NodeProto], axes: Axes, observer: Observer) -> None:
    """Follow batch and time through ``nodes``, from the layout of the input that ``axes`` holds.

    Raises EdgeError that names the node for an operator that joins rows, or that cannot be followed.
    """
    unknown = [name for node in nodes if node.op_type not in _RULES for name in node.output if name]
    observer.look(unknown)
    for node in nodes:
        if not any(axes.moves(name) for name in node.input):
            for name in filter(None, node.output):
                axes.of[name] = plain(axes.shape(name)) if name in axes.seen.shapes else ()
            continue
        _RULES.get(node.op_type, _unknown)(node, axes)
        _follow_picks(node, axes)
        _follow_shifts(node, axes)
        _follow_joins(node, axes)
        by_observation.check(node, axes)


def _follow_picks(node: NodeProto, axes: Axes) -> None:
    """A result belongs to the time of its inputs; different times are mixed, unless stacked in order."""
    times = [axes.picked[name] for name in node.input if name in axes.picked]
    if node in axes.picking or node in axes.stacking or not times:
        return
    if len(set(times)) > 1 or any(axes.has(name, "T") for name in node.input):
        axes.mix(node, "joins different times")
    for name in node.output:
        axes.picked.setdefault(name, times[-1])


def _follow_shifts(node: NodeProto, axes: Axes) -> None:
    """Sequences that are joined have to begin at the same time."""
    shifts = {axes.shift.get(name, 0) for name in node.input if axes.has(name, "T")}
    if len(shifts) > 1:
        axes.mix(node, "joins different times")
    for name in node.output:
        if shifts and axes.has(name, "T") and (shift := axes.shift.get(name, max(shifts))):
            axes.shift[name] = shift


def _follow_joins(node: NodeProto, axes: Axes) -> None:
    """What is made of something that depends on several times does so, too."""
    out = node.output[0]
    joins = node.op_type in ("GRU", "LSTM") or out in axes.mixing or out in axes.past
    if joins or any(name in axes.joined for name in node.input):
        axes.joined.update(node.output)


def _unknown(node: NodeProto, axes: Axes) -> None:
    """An operator without a rule: whatever it does to batch and time was seen when it ran."""
    for name in filter(None, node.output):
        layout = by_observation.layout(name, axes)
        if layout is None:
            axes.mix(node, "joins different times")
            layout = by_observation.rows(name, node, axes)
        axes.of[name] = layout


def _whole(node: NodeProto, axes: Axes) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze."""
    axes.of[node.output[0]] = regroup(axes.of[node.input[0]], axes.shape(node.output[0]), node)


def _transpose(node: NodeProto, axes: Axes) -> None:
    layout = axes.of[node.input[0]]
    order = attribute(node, "perm") or list(range(len(layout)))[::-1]
    axes.of[node.output[0]] = tuple(layout[at] for at in order)


def _elementwise(node: NodeProto, axes: Axes) -> None:
    """Same place, same time; inputs broadcast from the right."""
    out = list(plain(axes.shape(node.output[0])))
    for name in node.input:
        for back, axis in enumerate(reversed(axes.of.get(name, ()) if name else ()), 1):
            if holds(axis, "B") or holds(axis, "T"):
                if (holds(out[-back], "B") or holds(out[-back], "T")) and out[-back] != axis:
                    axes.mix(node, "joins different times")
                out[-back] = axis
    _look_at_constants(node, axes, out)
    for name in node.output:
        axes.of[name] = tuple(out)


def _look_at_constants(node: NodeProto, axes: Axes, out: list[Axis]) -> None:
    """A constant with another value for each time is a position within the window."""
    for name in node.input:
        if not name or axes.moves(name):
            continue
        shape = axes.shape(name)
        for back, length in enumerate(reversed(shape), 1):
            named = length > 1 and back <= len(out) and holds(out[-back], "T")
            if named and not axes.seen.equal_along(name, len(shape) - back):
                axes.mix(node, "adds the position within the window, such as an embedding of positions")


def _rows(node: NodeProto, axes: Axes) -> None:
    """Pooling, norms of pictures, Gemm: rows stay rows, everything else is new."""
    layout = axes.of[node.input[0]]
    if any(holds(axis, "T") for axis in layout[1:]) or attribute(node, "transA", 0):
        axes.mix(node, "joins different times")
    elif any(holds(axis, "B") for axis in layout[1:]):
        raise EdgeError(f"{label(node)} joins the rows of a batch; faces must stay apart")
    axes.of[node.output[0]] = (layout[0], *plain(axes.shape(node.output[0])[1:]))


def _same(node: NodeProto, axes: Axes) -> None:
    """Nothing moves. BatchNormalization in a trained network: one factor and one offset per channel."""
    for name in filter(None, node.output):
        axes.of[name] = axes.of[node.input[0]]
    if node.op_type == "BatchNormalization" and holds(axes.of[node.input[0]][1], "T"):
        axes.mix(node, "has a factor for each position within the window")


def _convolution(node: NodeProto, axes: Axes) -> None:
    layout = axes.of[node.input[0]]
    places = [at for at in range(2, len(layout)) if holds(layout[at], "T")]
    if not places:
        _rows(node, axes)
        return
    at, rank, out = places[0], len(layout) - 2, node.output[0]
    kernel = axes.shape(node.input[1])[at]
    dilation = (attribute(node, "dilations") or [1] * rank)[at - 2]
    stride = (attribute(node, "strides") or [1] * rank)[at - 2]
    before = (attribute(node, "pads") or [0] * 2 * rank)[at - 2]
    reach, length = (kernel - 1) * dilation, axes.shape(out)[at]
    axes.of[out] = (
        layout[0],
        *plain(axes.shape(out)[1:at]),
        (("T", length),),
        *plain(axes.shape(out)[at + 1 :]),
    )
    automatic = attribute(node, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
    if stride != 1 or automatic or layout[at] != (("T", size(layout[at])),) or "B" in _names(layout[1:]):
        axes.mix(node, "is a convolution over time that skips times or pads them by itself")
        return
    shift = axes.shift.get(node.input[0], 0) + reach - before
    if shift > 0 and out not in axes.needed:  # behind the memory the window is there to look at
        axes.mix(node, "is a convolution over the times around each")
        return
    axes.past[out], axes.reach[out], axes.shift[out] = node, reach, shift


def _pool(node: NodeProto, axes: Axes) -> None:
    """Pooling; over pictures with time between channels and rows, (B,C,T,H,W), it may leave time alone."""
    layout = axes.of[node.input[0]]
    kept = [
        at for at in range(2, len(layout)) if holds(layout[at], "T") and _leaves(node, at, len(layout) - 2)
    ]
    if not kept or "B" in _names(layout[1:]):
        _rows(node, axes)
        return
    out = plain(axes.shape(node.output[0]))
    axes.of[node.output[0]] = (
        layout[0],
        *(layout[at] if at in kept else out[at] for at in range(1, len(out))),
    )


def _leaves(node: NodeProto, at: int, rank: int) -> bool:
    """Whether a pooling over the last ``rank`` axes leaves axis ``at`` as it is."""
    pads = attribute(node, "pads") or [0] * 2 * rank
    kernel, stride = ((attribute(node, name) or [1] * rank)[at - 2] for name in ("kernel_shape", "strides"))
    return kernel == stride == 1 and not pads[at - 2] and not pads[at - 2 + rank]


def _pad(node: NodeProto, axes: Axes) -> None:
    layout, rank = axes.of[node.input[0]], len(axes.of[node.input[0]])
    pads = axes.seen.values[node.input[1]].reshape(-1).astype(int).tolist()
    places = range(rank)
    if len(node.input) > 3 and node.input[3]:
        places = [int(at) % rank for at in axes.seen.values[node.input[3]]]  # type: ignore[assignment]
    before = dict(zip(places, pads[: len(pads) // 2], strict=True))
    after = dict(zip(places, pads[len(pads) // 2 :], strict=True))
    shape, out = axes.shape(node.output[0]), list(layout)
    for at, axis in enumerate(layout):
        if not before.get(at) and not after.get(at):
            continue
        out[at] = plain(shape[at : at + 1])[0]
        if holds(axis, "B"):
            raise EdgeError(f"{label(node)} adds rows to the batch; faces must stay apart")
        if holds(axis, "T"):
            value = axes.seen.values[node.input[2]] if len(node.input) > 2 and node.input[2] else 0
            if attribute(node, "mode", b"constant") != b"constant" or np.any(value):
                axes.mix(node, "pads time with something else than zeros")
            out[at] = (("T", shape[at]),)
            axes.shift[node.output[0]] = axes.shift.get(node.input[0], 0) - before.get(at, 0)
    axes.of[node.output[0]] = tuple(out)


def _matmul(node: NodeProto, axes: Axes) -> None:
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


def _reduce(node: NodeProto, axes: Axes) -> None:
    layout = axes.of[node.input[0]]
    reduced = _axes_of(node, axes, len(layout))
    if any(holds(layout[at], "T") for at in reduced):
        axes.mix(node, "takes one value of all times in the window")
    if any(holds(layout[at], "B") for at in reduced):
        raise EdgeError(f"{label(node)} joins the rows of a batch; faces must stay apart")
    keep = bool(attribute(node, "keepdims", 1))
    left = [() if at in reduced else axis for at, axis in enumerate(layout) if keep or at not in reduced]
    axes.of[node.output[0]] = tuple(left)


def _along(default: int, to_end: bool = False) -> Callable[[NodeProto, Axes], None]:
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


def _gather(node: NodeProto, axes: Axes) -> None:
    layout, index = axes.of[node.input[0]], axes.seen.values.get(node.input[1], np.zeros(2))
    at = attribute(node, "axis", 0) % len(layout)
    if holds(layout[at], "B"):
        _same_rows(node, layout[at], index, axes)
        axes.of[node.output[0]] = layout
        return
    if holds(layout[at], "T"):
        length = size(layout[at])
        if index.size == 1 and layout[at] == (("T", length),):
            _pick(node, node.output[0], axes, int(index.reshape(-1)[0]) % length)
        else:
            axes.mix(node, "takes several times out of the window")
    axes.of[node.output[0]] = (*layout[:at], *plain(index.shape), *layout[at + 1 :])


def _same_rows(node: NodeProto, rows: Axis, index: Any, axes: Axes) -> None:
    """EdgeError unless all rows are taken in their order, as the sorting of packed sequences does."""
    if node.input[1] not in axes.seen.fixed or not np.array_equal(index, np.arange(size(rows))):
        raise EdgeError(f"{label(node)} takes rows out of the batch; faces must stay apart")


def _slice(node: NodeProto, axes: Axes) -> None:
    layout, out = list(axes.of[node.input[0]]), node.output[0]
    constants = [axes.seen.values[name] for name in node.input[1:] if name]
    starts, ends = (value.reshape(-1).tolist() for value in constants[:2])
    places = _given(node, axes, 3, list(range(len(starts))))
    strides = _given(node, axes, 4, [1] * len(starts))
    before, after = axes.shape(node.input[0]), axes.shape(out)
    for start, end, place, stride in zip(starts, ends, places, strides, strict=True):
        at = place % len(layout)
        axis = layout[at]
        taken = range(before[at])[slice(start, end if stride > 0 or end > -before[at] - 1 else None, stride)]
        if list(taken) == list(range(before[at])):
            continue
        layout[at] = plain(after[at : at + 1])[0]
        if holds(axis, "B"):
            raise EdgeError(f"{label(node)} takes rows out of the batch; faces must stay apart")
        if not holds(axis, "T"):
            continue
        if axis != (("T", before[at]),) or not taken:
            axes.mix(node, "takes several times out of the window")
        elif len(taken) == 1:
            _pick(node, out, axes, taken[0])
        elif stride < 0:
            axes.mix(node, "reverses time, as a second direction written by hand does")
        elif stride > 1:
            axes.mix(node, "takes several times out of the window")
        else:
            layout[at] = (("T", len(taken)),)
            axes.shift[out] = axes.shift.get(node.input[0], 0) + taken[0]
    axes.of[out] = tuple(layout)


def _given(node: NodeProto, axes: Axes, at: int, default: list[int]) -> list[int]:
    given = len(node.input) > at and node.input[at]
    return axes.seen.values[node.input[at]].reshape(-1).tolist() if given else default


def _split(node: NodeProto, axes: Axes) -> None:
    layout = axes.of[node.input[0]]
    at = attribute(node, "axis", 0) % len(layout)
    begin = 0
    for name in node.output:
        length = axes.shape(name)[at]
        axis = plain((length,))[0]
        if holds(layout[at], "T") and length == 1 and layout[at] == (("T", size(layout[at])),):
            _pick(node, name, axes, begin)
        elif holds(layout[at], "T"):
            axes.mix(node, "takes several times out of the window")
        begin += length
        axes.of[name] = (*layout[:at], axis, *layout[at + 1 :])
    if holds(layout[at], "B"):
        raise EdgeError(f"{label(node)} takes rows out of the batch; faces must stay apart")


def _pick(node: NodeProto, output: str, axes: Axes, place: int) -> None:
    if node not in axes.picking:
        axes.picking.append(node)
    axes.picked[output] = place + axes.shift.get(node.input[0], 0)


def _concat(node: NodeProto, axes: Axes) -> None:
    first = next(name for name in node.input if axes.moves(name))
    out = list(axes.of[first])
    at = attribute(node, "axis", 0) % len(out)
    for name in node.input:
        layout = axes.of.get(name, ()) if axes.moves(name) else ()
        if any(axis != out[place] for place, axis in enumerate(layout) if place != at):
            axes.mix(node, "joins different times")
    _look_at_constants(node, axes, out)
    times = [axes.picked.get(name) for name in node.input]
    shape = axes.shape(node.output[0])
    if times == list(range(axes.steps)) and shape[at] == axes.steps:
        axes.stacking.append(node)
        out[at] = (("T", axes.steps),)
    else:
        inputs = [axes.of[name][at] for name in node.input if axes.moves(name)]
        if any(holds(axis, "T") for axis in inputs):
            axes.mix(node, "puts different times beside each other")
        if any(holds(axis, "B") for axis in inputs):
            raise EdgeError(f"{label(node)} joins the rows of a batch; faces must stay apart")
        out[at] = plain(shape)[at]
    axes.of[node.output[0]] = tuple(out)


def _shape(node: NodeProto, axes: Axes) -> None:
    axes.of[node.output[0]] = plain(axes.shape(node.output[0]))


def _recurrent(node: NodeProto, axes: Axes) -> None:
    layout = axes.of[node.input[0]]
    if attribute(node, "layout", 0):
        raise EdgeError(f"{label(node)} has layout 1, which no runtime computes; export it with layout 0")
    time, rows = layout[0], layout[1]
    if ahead := axes.shift.get(node.input[0], 0):
        _blame_convolution(node, ahead, axes)
    if time != (("T", axes.steps),) or [atom[0] for atom in rows] != ["B"] or axes.shift.get(node.input[0]):
        raise EdgeError(
            f"{label(node)}: its input is not (time, batch, features); export the network again with a free "
            "batch axis and whole frames, or pass --time-first where the input begins with time"
        )
    hidden: Axis = (("", attribute(node, "hidden_size")),)
    ends: Layout = ((), rows, hidden)
    for name, layout in zip(node.output, ((time, *ends), ends, ends), strict=False):
        axes.of[name] = layout


def _blame_convolution(node: NodeProto, ahead: int, axes: Axes) -> None:
    """The last convolution over time is why the frames of a recurrent layer are not those of its steps."""
    for convolution in reversed(list(axes.past.values())):
        if ahead > 0:
            axes.mix(
                convolution, f"is a convolution over time that looks {ahead} frame{'s' * (ahead > 1)} ahead"
            )
        else:
            axes.mix(convolution, f"is a convolution over time whose results come {-ahead} frames late")
        return


def _names(layout: Layout) -> set[str]:
    return {atom[0] for axis in layout for atom in axis}


_Rule = Callable[[NodeProto, Axes], None]
_ELEMENTWISE = """
    Abs Add And Cast Ceil Celu Clip Div Dropout Elu Equal Erf Exp Expand Floor Gelu Greater GreaterOrEqual
    HardSigmoid HardSwish Identity LeakyRelu Less LessOrEqual Log Max Min Mish Mul Neg Not Or PRelu Pow
    Reciprocal Relu Round Selu Sigmoid Sign Sin Cos Softplus Softsign Sqrt Sub Tanh ThresholdedRelu Where
"""
_ROWS = """
    ConvTranspose DepthToSpace Gemm GlobalAveragePool GlobalMaxPool GroupNormalization
    InstanceNormalization LRN Resize SpaceToDepth
"""
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(_ELEMENTWISE.split(), _elementwise),
    **dict.fromkeys(_ROWS.split(), _rows),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _whole),
    **dict.fromkeys(("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"), _reduce),
    **dict.fromkeys(("Softmax", "LogSoftmax", "LpNormalization"), _along(-1)),
    "LayerNormalization": _along(-1, to_end=True),
    **dict.fromkeys(("GRU", "LSTM"), _recurrent),
    "BatchNormalization": _same,
    "Concat": _concat,
    "Conv": _convolution,
    "Gather": _gather,
    "MatMul": _matmul,
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), _pool),
    "Pad": _pad,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Transpose": _transpose,
}
