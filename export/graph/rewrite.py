"""From a window graph to one streaming step: the time axis goes, recurrent state comes in and out.

Frames before the recurrent layers see a time axis of length one. A head over the whole window (mean, max,
attention) keeps its length: the last values of the sequences that it reads become states, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

from edge.errors import EdgeError
from export.graph import causes, meaning, trial
from export.graph.axes import Axes, Axis, Layout, holds, size
from export.graph.cells import Nodes
from export.graph.heads import Head
from export.graph.layouts import trace
from export.graph.nodes import attribute, label
from export.graph.observe import Observer
from export.graph.phases import RESETS, Phases
from export.graph.reading import IR_VERSION, OPSET, PREFIX
from export.graph.recurrence import Recurrence
from export.graph.states import tensors
from export.graph.step import Row, Step
from export.graph.window import Window

RECURRENT = causes.RECURRENT
_WHOLE = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def rewrite(
    window: Window, reset: str = "never", output: str = "", kind: str = "", keep: Sequence[str] = ()
) -> Step:
    """Rewrite ``window`` into ``step(face, *state) -> logits, *new_state, *keep``.

    ``reset`` is never, every-T or two-phase (two states half a window apart, the older one answers).
    ``output`` names the output to take (default: the first), ``kind`` says what it means (softmax, sigmoid,
    values; default: as it looks), ``keep`` names further outputs that stay as they are. Raises EdgeError that
    names the node and the fix for what cannot stream.
    """
    if reset not in RESETS:
        raise EdgeError(f"unknown --reset {reset!r}; choose one of {', '.join(RESETS)}")
    step = _Rewriter(window, reset, output, kind, keep).step()
    trial.check(window, step)
    return step


class _Rewriter:
    """One pass over the nodes of the window; ``self._out`` collects the nodes of the step."""

    def __init__(self, window: Window, reset: str, output: str, kind: str, keep: Sequence[str]) -> None:
        self._window, self._kind = window, kind
        self._keep = {name: window.output(name) for name in keep}
        self._nodes = list(window.model.graph.node)
        self._output = window.output(output)
        causes.check_recurrent(self._nodes)
        observer = Observer(window)
        start = tuple(
            ((axis if axis in "BT" else "", length),)
            for axis, length in zip(window.order, window.shape(observer.rows), strict=True)
        )
        self._axes = Axes({window.input: start}, observer.seen, window.steps)
        self._axes.needed |= causes.needed_by_recurrent(self._nodes)
        try:
            trace(self._nodes, self._axes, observer)
        except EdgeError:
            causes.check_mixing(
                self._nodes, self._axes
            )  # it came first, and is why the rest cannot be traced
            raise
        causes.check_mixing(self._nodes, self._axes)
        self._recurrent = [node for node in self._nodes if node.op_type in RECURRENT]
        self._out = Nodes("step")
        self._state: dict[str, tuple[int, ...]] = {}
        self._new: dict[str, str] = {}
        self._phases = Phases(reset, window.steps, self._out, self._add_state)
        self._head = Head(self._nodes, self._axes, self._out, self._phases)
        self._recurrence = Recurrence(self._out, self._phases, self._axes.seen, window.steps)
        self._convolutions = 0

    def step(self) -> Step:
        """Build the step graph."""
        self._enter()
        for node in self._nodes:
            self._copy(node)
        answer, logits, classes, order = self._leave()
        kept = {name: self._row(tensor) for name, tensor in self._keep.items()}
        model = self._assemble(logits, classes, kept)
        taken = {self._output, *self._keep.values()}
        others = [v.name for v in self._window.model.graph.output if v.name not in taken]
        left_out = tuple(name.removeprefix(PREFIX) for name in others)
        return Step(
            model,
            tensors(self._state),
            classes,
            answer,
            order,
            left_out,
            recurrent=tuple(map(label, self._recurrent)),
            looking_back=tuple(
                label(self._axes.past[name]) for name, reach in self._axes.reach.items() if reach
            ),
            joining=tuple(f"{label(node)}, which {how}" for node, how in self._axes.mixing.values()),
            kept={name: row for name, (_, row) in kept.items()},
            chains=not self._convolutions,
        )

    def _enter(self) -> None:
        """Face (N,C,S,S) -> the window's own input with one frame."""
        order, face = self._window.order, "face"
        picture = "".join(axis for axis in order if axis in "CHW")
        if picture != "CHW":
            face = self._out.add("Transpose", face, perm=[0, *(1 + "CHW".index(axis) for axis in picture)])
        rest = "B" + picture
        wanted = [axis for axis in order if axis != "T"]
        if wanted != list(rest):
            face = self._out.add("Transpose", face, perm=[rest.index(axis) for axis in wanted])
        axis = self._out.constant(np.array([order.index("T")], np.int64))
        self._out.alias(self._out.add("Unsqueeze", face, axis), self._window.input)

    def _copy(self, node: NodeProto) -> None:
        if node.op_type in RECURRENT:
            self._recurrence.write(node, self._recurrent.index(node), self._axes)
            return
        in_head = self._head.holds(node)
        picked = {self._axes.picked[name] for name in node.output if name in self._axes.picked}
        if not in_head and picked - {self._window.steps - 1}:
            return  # the same for an earlier time: not needed where there is only one
        step = self._rewritten(node, in_head)
        if any(self._axes.moves(name) for name in node.input):
            for at, name in enumerate(step.input):
                if name in node.input:
                    step.input[at] = self._input(node, name, in_head)
        step.ClearField("doc_string")
        self._out.nodes.append(step)

    def _rewritten(self, node: NodeProto, in_head: bool) -> NodeProto:
        """A copy of ``node`` for one time, or for the window in a head over it."""
        axes, step = self._axes, NodeProto()
        step.CopyFrom(node)
        moves = bool(node.input) and axes.moves(node.input[0])
        if moves and node.op_type in (*_WHOLE, "Expand"):
            expands = node.op_type == "Expand"
            sizes = [self._length(axis, in_head, expands) for axis in axes.of[node.output[0]]]
            operator = "Expand" if expands else "Reshape"
            inputs = [node.input[0], self._out.constant(np.array(sizes, np.int64))]
            return helper.make_node(operator, inputs, [node.output[0]], name=node.name)
        if node.op_type == "Gather" and moves and self._takes_rows(node):
            return helper.make_node("Identity", [node.input[0]], [node.output[0]], name=node.name)
        if in_head or not moves:
            return self._resized(step) if moves else step
        if node in axes.picking:
            return self._only_time(node)
        if node in axes.stacking:
            return helper.make_node("Identity", [node.input[-1]], [node.output[0]], name=node.name)
        if node.op_type in ("Pad", "Slice") and axes.has(node.input[0], "T"):
            return self._without_time(node, step)
        if node.output[0] in axes.past:
            return self._with_past(node, step)
        return self._resized(step)

    def _takes_rows(self, node: NodeProto) -> bool:
        """Whether a Gather takes all rows in their order."""
        layout = self._axes.of[node.input[0]]
        return holds(layout[attribute(node, "axis", 0) % len(layout)], "B")

    def _resized(self, step: NodeProto) -> NodeProto:
        """A Resize to sizes leaves the rows alone."""
        if step.op_type == "Resize" and len(step.input) > 3 and step.input[3] and not attribute(step, "axes"):
            sizes = self._axes.seen.values[step.input[3]].reshape(-1)[2:]
            step.input[3] = self._out.constant(sizes.astype(np.int64))
            step.attribute.append(helper.make_attribute("axes", list(range(2, 2 + len(sizes)))))
        return step

    def _length(self, axis: Axis, in_head: bool, keeps_batch: bool) -> int:
        """Size of an axis of the step: free where the batch is, one where time is."""
        if holds(axis, "B"):
            return 1 if keeps_batch else -1
        return size(tuple(atom for atom in axis if in_head or atom[0] != "T"))

    def _only_time(self, node: NodeProto) -> NodeProto:
        """Pick the only time step there is."""
        if node.op_type == "Gather":
            index = self._out.constant(np.zeros_like(self._axes.seen.values[node.input[1]]))
            at = attribute(node, "axis", 0)
            return helper.make_node(
                "Gather", [node.input[0], index], [node.output[0]], name=node.name, axis=at
            )
        last = next(n for n in node.output if self._axes.picked.get(n) == self._window.steps - 1)
        return helper.make_node("Identity", [node.input[0]], [last], name=node.name)

    def _without_time(self, node: NodeProto, step: NodeProto) -> NodeProto:
        """Pad or Slice for the other axes alone: one time has no neighbors."""
        layout = self._axes.of[node.input[0]]
        time = next(at for at, axis in enumerate(layout) if holds(axis, "T"))
        before, after = (self._axes.shape(name) for name in (node.input[0], node.output[0]))
        if all(a == b for at, (a, b) in enumerate(zip(before, after, strict=True)) if at != time):
            return helper.make_node("Identity", [node.input[0]], [node.output[0]], name=node.name)
        if before[time] != after[time]:
            raise EdgeError(f"{label(node)} changes time and other axes at once; do it in two steps")
        return step

    def _with_past(self, node: NodeProto, step: NodeProto) -> NodeProto:
        """A convolution over the times that have passed: its last inputs are a state.

        Zeros before the first frame are what the window pads with.
        """
        reach = self._axes.reach[node.output[0]]
        layout = self._axes.of[node.input[0]]
        time = next(at for at, axis in enumerate(layout) if holds(axis, "T"))
        pads = list(attribute(node, "pads") or [0] * 2 * (len(layout) - 2))
        pads[time - 2] = pads[time - 2 + len(layout) - 2] = 0
        del step.attribute[:]
        step.attribute.extend(a for a in node.attribute if a.name != "pads")
        step.attribute.append(helper.make_attribute("pads", pads))
        if reach:
            self._convolutions += 1
            now = self._phases.enter(node.input[0], layout)
            row = [
                reach if at == time else length for at, length in enumerate(self._axes.shape(node.input[0]))
            ]
            past, keep = self._phases.state(f"state_past{self._convolutions - 1}", tuple(row[1:]))
            whole = self._out.add("Concat", past, now, axis=time)
            ends = [self._out.constant(np.array([at], np.int64)) for at in (1, 1 + reach, time)]
            keep(self._out.add("Slice", whole, *ends))
            step.input[0] = whole
            self._phases.phased.update(node.output)
        return step

    def _input(self, node: NodeProto, name: str, in_head: bool) -> str:
        """The step's tensor for the input ``name`` of ``node``."""
        axes = self._axes
        layout = axes.of[node.output[0]]
        if not axes.moves(name):
            return self._one_row(node, name, layout, in_head)
        if in_head and axes.has(name, "T") and name not in self._head.region:
            name = self._head.window(name)
        elif any(other in self._phases.phased for other in node.input) or name in self._phases.phased:
            name = self._phases.enter(name, axes.of[name])
        if name in self._phases.phased:
            self._phases.phased.update(node.output)
        return name

    def _one_row(self, node: NodeProto, name: str, layout: Any, in_head: bool) -> str:
        """A constant that repeats one row for each face and time, such as a class token: the row alone."""
        value = self._axes.seen.values.get(name)
        joins = node.op_type == "Concat"
        if (
            value is None
            or name not in self._axes.seen.fixed
            or node.op_type in (*_WHOLE, "Expand", "Gather")
        ):
            return name
        if not joins and node.op_type != "MatMul" and node.op_type not in causes.ELEMENTWISE:
            return name
        rows = value
        for back in range(1, min(value.ndim, len(layout)) + 1):
            at, axis = value.ndim - back, layout[-back]
            named = holds(axis, "B") or (holds(axis, "T") and not in_head)
            if named and (value.shape[at] == size(axis) or joins) and self._axes.seen.equal_along(name, at):
                rows = np.take(rows, [0], at)
        if not joins:
            return name if rows.shape == value.shape else self._out.constant(rows)
        like = next(other for other in node.input if self._axes.moves(other))
        places = [at for at, axis in enumerate(layout) if holds(axis, "B")]
        if not places:
            return name
        number = self._out.constant(np.array(places[:1], np.int64))
        free = self._out.add("Gather", self._out.add("Shape", like), number)
        sizes = [self._out.constant(np.array([length], np.int64)) for length in rows.shape]
        sizes[places[0]] = free
        return str(self._out.add("Expand", self._out.constant(rows), self._out.add("Concat", *sizes, axis=0)))

    def _leave(self) -> tuple[meaning.Answer, str, int, str]:
        """Logits (N,K) out of the graph's output, by what it means."""
        order = _order(self._axes.of[self._output])
        answer = meaning.of(self._window, self._nodes, self._output, self._kind, order)
        values, row = self._row(answer.tensor)
        return answer, answer.write(self._out, values), answer.classes(row.columns), row.order

    def _row(self, source: str) -> tuple[str, Row]:
        """Rows (N,columns) of a tensor of the window, at the last time."""
        axes, steps = self._axes, self._window.steps
        layout, shape = axes.of[source], axes.shape(source)
        order = _order(layout)
        in_head = source in self._head.region
        if axes.picked.get(source, steps - 1) != steps - 1 and not in_head:
            taken = axes.picked[source] + 1
            raise EdgeError(f"the output takes step {taken} of {steps}; a stream gives the last")
        columns = prod(length for axis in layout for name, length in axis if not name)
        if order.count("K") != 1 or "B" not in order:
            shown = source.removeprefix(PREFIX)
            size_told = "x".join(map(str, shape))
            raise EdgeError(
                f"output {shown!r} is {size_told}; expected one row of logits per face, or one for each "
                "of its frames; choose another one with --output"
            )
        flat = source
        if in_head and axes.has(source, "T"):
            at = next(at for at, axis in enumerate(layout) if holds(axis, "T"))
            last = self._out.constant(np.array(-1, np.int64))
            flat = self._out.add("Gather", flat, last, axis=at)
        flat = self._out.add("Reshape", flat, self._out.constant(np.array([-1, columns], np.int64)))
        return self._phases.leave(flat, source in self._phases.phased), Row(source, columns, order)

    def _add_state(self, name: str, shape: tuple[int, ...], new: str) -> None:
        self._state[name] = shape
        self._new[name] = new

    def _assemble(self, logits: str, classes: int, kept: Mapping[str, tuple[str, Row]]) -> ModelProto:
        self._out.alias(logits, "logits")
        for name, (values, _) in kept.items():
            self._out.alias(values, name)
        w, state = self._window, tensors(self._state)
        for tensor in state:
            self._out.alias(self._new[tensor.input], tensor.output)
        outputs = {"logits": (classes,), **{tensor.output: tensor.shape for tensor in state}}
        if taken := {"face", *self._state, *outputs} & set(kept):
            raise EdgeError(f"--keep {min(taken)}: a step has a tensor of that name; rename the output")
        outputs |= {name: (row.columns,) for name, (_, row) in kept.items()}
        inputs: Mapping[str, tuple[int, ...]] = {"face": (w.channels, w.size, w.size), **self._state}
        nodes = _needed(self._out.nodes, set(outputs))
        used = {name for node in nodes for name in node.input}
        constants = [t for t in (*w.model.graph.initializer, *self._out.constants) if t.name in used]
        graph = helper.make_graph(nodes, "step", _infos(inputs), _infos(outputs), constants)
        opsets = [o for o in w.model.opset_import if o.domain in ("", "ai.onnx")]
        model = helper.make_model(graph, opset_imports=opsets or [helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        for node in model.graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
        onnx.checker.check_model(model, full_check=True)
        return model


def _order(layout: Layout) -> str:
    """The axes of an output by name, K those of its columns; a K at the end where there is one column."""
    order = "".join(name or "K" for axis in layout for name, length in axis if name or length > 1)
    return order if "K" in order else order + "K"


def _infos(tensors: Mapping[str, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", *shape]) for n, shape in tensors.items()
    ]


def _needed(nodes: list[NodeProto], wanted: set[str]) -> list[NodeProto]:
    """Nodes that the wanted tensors need, in their old order."""
    needed = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            needed.append(node)
            wanted |= set(node.input)
    return needed[::-1]
