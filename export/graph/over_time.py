"""Rules of operators that may take, shift or join single times: convolutions, padding, slices, recurrence."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import NodeProto

from edge.errors import EdgeError
from export.graph import rules
from export.graph.axes import Axes, Axis, Layout, holds, plain, size
from export.graph.nodes import attribute, label


def convolution(node: NodeProto, axes: Axes) -> None:
    layout = axes.of[node.input[0]]
    places = [at for at in range(2, len(layout)) if holds(layout[at], "T")]
    if not places:
        rules.rows(node, axes)
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


def pool(node: NodeProto, axes: Axes) -> None:
    """Pooling; over pictures with time between channels and rows, (B,C,T,H,W), it may leave time alone."""
    layout = axes.of[node.input[0]]
    kept = [
        at for at in range(2, len(layout)) if holds(layout[at], "T") and _leaves(node, at, len(layout) - 2)
    ]
    if not kept or "B" in _names(layout[1:]):
        rules.rows(node, axes)
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


def pad(node: NodeProto, axes: Axes) -> None:
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


def gather(node: NodeProto, axes: Axes) -> None:
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


def slice_(node: NodeProto, axes: Axes) -> None:
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


def split(node: NodeProto, axes: Axes) -> None:
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


def concat(node: NodeProto, axes: Axes) -> None:
    first = next(name for name in node.input if axes.moves(name))
    out = list(axes.of[first])
    at = attribute(node, "axis", 0) % len(out)
    for name in node.input:
        layout = axes.of.get(name, ()) if axes.moves(name) else ()
        if any(axis != out[place] for place, axis in enumerate(layout) if place != at):
            axes.mix(node, "joins different times")
    rules.look_at_constants(node, axes, out)
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


def recurrent(node: NodeProto, axes: Axes) -> None:
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
