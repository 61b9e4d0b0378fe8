"""How each operator moves batch and time: the layout of every tensor is found by the rules of ``rules`` and
``over_time``.

An operator without a rule is judged by what it was seen to do, and every rule is checked against that.
"""

from __future__ import annotations

from collections.abc import Callable

from onnx import NodeProto

from export.graph import by_observation, over_time, rules
from export.graph.axes import Axes, plain
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
    **dict.fromkeys(_ELEMENTWISE.split(), rules.elementwise),
    **dict.fromkeys(_ROWS.split(), rules.rows),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), rules.whole),
    **dict.fromkeys(("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"), rules.reduce),
    **dict.fromkeys(("Softmax", "LogSoftmax", "LpNormalization"), rules.along(-1)),
    "LayerNormalization": rules.along(-1, to_end=True),
    **dict.fromkeys(("GRU", "LSTM"), over_time.recurrent),
    "BatchNormalization": rules.same,
    "Concat": over_time.concat,
    "Conv": over_time.convolution,
    "Gather": over_time.gather,
    "MatMul": rules.matmul,
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), over_time.pool),
    "Pad": over_time.pad,
    "Shape": rules.shape,
    "Slice": over_time.slice_,
    "Split": over_time.split,
    "Transpose": rules.transpose,
}
