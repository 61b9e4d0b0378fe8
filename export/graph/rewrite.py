"""From a window graph to one streaming step: the time axis goes, recurrent state comes in and out.

Frames before the recurrent layers see a time axis of length one. A head over the whole window (mean, max,
attention) keeps its length: a ring buffer of the last layer's outputs becomes one more state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

from edge.bundle import StateTensor
from edge.errors import EdgeError
from export.graph import cells
from export.graph.axes import Axes, Layout, attribute, holds, label, size
from export.graph.cells import Nodes
from export.graph.layouts import trace
from export.graph.phases import RESETS, Phases
from export.graph.recurrence import Recurrence
from export.graph.states import tensors
from export.graph.window import IR_VERSION, OPSET, Window, logits_of, run_all

RECURRENT = ("GRU", "LSTM")
HEADS_OVER_TIME = ("MatMul", "ReduceMax", "ReduceMean", "ReduceSum", "Softmax")
_WHOLE = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


@dataclass(frozen=True)
class Step:
    """A step graph, its states, and where the window has the same logits."""

    model: ModelProto
    state: tuple[StateTensor, ...]
    classes: int
    source: str  # tensor of the window graph with the logits, before a closing softmax
    order: str  # of its axes: BK, BTK or TBK

    def last(self, logits: npt.NDArray[np.float32], rows: int) -> npt.NDArray[np.float32]:
        """Logits (rows,K) of the last step from the value of ``source``."""
        sizes = [{"B": rows, "K": self.classes}.get(axis, -1) for axis in self.order]
        shaped = logits.reshape(sizes)
        return np.take(shaped, -1, self.order.index("T")) if "T" in self.order else shaped


def rewrite(window: Window, reset: str = "never") -> Step:
    """Rewrite ``window`` into ``step(face, *state) -> logits, *new_state``.

    ``reset`` is never, every-T or two-phase (two states half a window apart, the older one answers).
    Raises EdgeError that names the node and the fix for what cannot stream.
    """
    if reset not in RESETS:
        raise EdgeError(f"unknown --reset {reset!r}; choose one of {', '.join(RESETS)}")
    return _Rewriter(window, reset).step()


class _Rewriter:
    """One pass over the nodes of the window; ``self._out`` collects the nodes of the step."""

    def __init__(self, window: Window, reset: str) -> None:
        self._window = window
        self._nodes = list(window.model.graph.node)
        rng = np.random.default_rng(0)
        first, second = (self._run(rng) for _ in range(2))
        self._values = first
        start: Layout = tuple(
            ((axis if axis in "BT" else "", length),)
            for axis, length in zip(window.order, window.shape(window.batch or 2), strict=True)
        )
        self._axes: Axes = trace(self._nodes, {window.input: start}, first)
        self._recurrent = [node for node in self._nodes if node.op_type in RECURRENT]
        self._check()
        self._out = Nodes("step")
        self._state: dict[str, tuple[int, ...]] = {}
        self._new: dict[str, str] = {}
        self._phases = Phases(reset, window.steps, self._out, self._add_state)
        fixed = {name for name in first if np.array_equal(first[name], second[name])}
        self._recurrence = Recurrence(self._out, self._phases, first, fixed, window.steps)

    def _run(self, rng: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
        shape = self._window.shape(self._window.batch or 2)
        return run_all(self._window, rng.standard_normal(shape).astype(np.float32))

    def _check(self) -> None:
        if not self._recurrent:
            raise EdgeError(
                "the graph has no GRU or LSTM node; export the network with its recurrent layer as one "
                "operator, or use bundle --model with [parts]"
            )
        for node in self._recurrent:
            cells.check_supported(node)
        self._last = self._recurrent[-1]
        self._head = self._downstream(self._last) if self._axes.mixing else set()
        for node in self._axes.mixing:
            if node.op_type not in HEADS_OVER_TIME or node.output[0] not in self._head:
                in_head = node.output[0] in self._head
                where = "as a head over time" if in_head else "before the last recurrent layer"
                raise EdgeError(
                    f"{label(node)} combines different times {where}, which cannot stream; supported are the "
                    "last step, h_n, and mean, max or attention over the last recurrent layer's outputs"
                )
        for node in self._nodes:
            if self._head & set(node.output) and node is not self._last:
                for name in node.input:
                    if name != self._last.output[0] and name not in self._head and self._axes.has(name, "T"):
                        raise EdgeError(
                            f"{label(node)} joins {name!r}, a sequence from before the last recurrent "
                            "layer, with its outputs over time; only the outputs of that layer are kept"
                        )

    def _downstream(self, source: NodeProto) -> set[str]:
        reached = set(source.output[:1])
        for node in self._nodes:
            if reached & set(node.input):
                reached |= set(node.output)
        return reached - {source.output[0]}

    def step(self) -> Step:
        """Build the step graph."""
        self._enter()
        for node in self._nodes:
            self._copy(node)
        logits, classes, source, order = self._leave()
        return Step(self._assemble(logits, classes), tensors(self._state), classes, source, order)

    def _enter(self) -> None:
        """Face (N,C,S,S) -> the window's own input with one frame."""
        order, face = self._window.order, "face"
        if order.endswith("HWC"):
            face = self._out.add("Transpose", face, perm=[0, 2, 3, 1])
        axis = self._out.constant(np.array([order.index("T")], np.int64))
        self._out.alias(self._out.add("Unsqueeze", face, axis), self._window.input)

    def _copy(self, node: NodeProto) -> None:
        if node.op_type in RECURRENT:
            self._recurrence.write(node, self._recurrent.index(node), bool(self._head) and node is self._last)
            return
        alone = not any(name in self._head for name in node.output)  # one time step, not a window
        times = {self._axes.picked[name] for name in node.output if name in self._axes.picked}
        if alone and times - {self._window.steps - 1}:
            return  # the same for an earlier time: not needed where there is only one
        named = any(self._axes.has(name, axis) for name in node.input[:1] for axis in "BT")
        step = NodeProto()
        step.CopyFrom(node)
        if named and node.op_type in (*_WHOLE, "Expand"):
            expands = node.op_type == "Expand"
            sizes = [self._length(axis, alone, expands) for axis in self._axes.of[node.output[0]]]
            inputs = [node.input[0], self._out.constant(np.array(sizes, np.int64))]
            operator = "Expand" if expands else "Reshape"
            step = helper.make_node(operator, inputs, [node.output[0]], name=node.name)
        elif alone and node in self._axes.picking:
            step = self._only_time(node)
        elif alone and node in self._axes.stacking:
            step = helper.make_node("Identity", [node.input[-1]], [node.output[0]], name=node.name)
        self._out.nodes.append(step)

    def _length(self, axis: Any, alone: bool, keeps_batch: bool) -> int:
        """Size of an axis of the step: free where the batch is, one where time is."""
        if holds(axis, "B"):
            return 1 if keeps_batch else -1
        return size(tuple(atom for atom in axis if not (alone and atom[0] == "T")))

    def _only_time(self, node: NodeProto) -> NodeProto:
        """Pick the only time step there is."""
        if node.op_type == "Slice":
            return helper.make_node("Identity", [node.input[0]], [node.output[0]], name=node.name)
        index = self._out.constant(np.zeros_like(self._values[node.input[1]]))
        at = attribute(node, "axis", 0)
        return helper.make_node("Gather", [node.input[0], index], [node.output[0]], name=node.name, axis=at)

    def _leave(self) -> tuple[str, int, str, str]:
        """Logits (N,K) out of the graph's output; drops a closing softmax."""
        makers = {name: node for node in self._nodes for name in node.output}
        source = logits_of(makers, self._window.model.graph.output[0].name)
        layout, shape = self._axes.of[source], self._values[source].shape
        rest = [size(axis) for axis in layout if not holds(axis, "B") and not holds(axis, "T")]
        steps = self._window.steps
        if self._axes.picked.get(source, steps - 1) != steps - 1 and not self._head:
            raise EdgeError(
                f"the output takes step {self._axes.picked[source] + 1} of {steps}; a stream gives the last"
            )
        over_time = self._axes.has(source, "T")
        classes = int(np.prod(rest)) if rest else 1
        if not self._axes.has(source, "B") or (over_time and self._head) or classes != shape[-1]:
            raise EdgeError(
                f"output {self._window.model.graph.output[0].name!r} is {'x'.join(map(str, shape))}; "
                "expected one row of logits per face"
            )
        flat = self._out.add("Reshape", source, self._out.constant(np.array([-1, classes], np.int64)))
        order = "".join(name for axis in layout for name in "BT" if holds(axis, name)) + "K"
        return self._phases.leave(flat), classes, source, order

    def _add_state(self, name: str, shape: tuple[int, ...], new: str) -> None:
        self._state[name] = shape
        self._new[name] = new

    def _assemble(self, logits: str, classes: int) -> ModelProto:
        self._out.alias(logits, "logits")
        w, state = self._window, tensors(self._state)
        for tensor in state:
            self._out.alias(self._new[tensor.input], tensor.output)
        outputs = {"logits": (classes,), **{tensor.output: tensor.shape for tensor in state}}
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
