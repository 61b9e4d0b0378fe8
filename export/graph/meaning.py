"""What the output of a network means: logits, probabilities, or something else; one rule for all ways in.

The runtime takes the softmax of what a step gives, or the sigmoid of each value, or the values as they are. A
network that gives probabilities already has to give their logarithms instead: softmax(log p) = p.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto

from edge.errors import EdgeError
from export.graph.cells import Nodes
from export.graph.session import session
from export.graph.window import Window

KINDS = ("softmax", "sigmoid", "values")
TINY = 1e-30  # of a probability; its logarithm is -69
_SHAPES = ("Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Dropout", "Cast")
_KIND_OF = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid"}
_WEIGHED = ("Conv", "GRU", "Gemm", "LSTM", "MatMul")
_FRAMES = 8  # windows that are looked at

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Answer:
    """The tensor that the step gives, and what has to be done to it.

    ``kind`` is what the runtime makes of logits: softmax, sigmoid or values. ``form`` is what the tensor
    holds: logits, probabilities (rows sum to 1), chances (each by itself), odds (one logit for yes or no), or
    chance (one probability for yes). ``closing`` is the operator behind it that the step leaves out.
    """

    tensor: str
    kind: str = "softmax"
    form: str = "logits"
    closing: str = ""

    def classes(self, columns: int) -> int:
        """Number of logits for a tensor of ``columns`` values per row."""
        return 2 if self.form in ("odds", "chance") else columns

    def columns(self, classes: int) -> int:
        return 1 if self.form in ("odds", "chance") else classes

    def logits(self, values: Float32) -> Float32:
        """Logits (...,K) from values (...,columns)."""
        clipped = np.clip(values, TINY, None)
        if self.form == "probabilities":
            return np.log(clipped)
        if self.form in ("chances", "chance"):
            values = np.log(clipped) - np.log(np.clip(1 - values, TINY, None))
        if self.form in ("odds", "chance"):
            return np.concatenate([np.zeros_like(values), values], axis=-1)
        return values

    def output(self, logits: Float32) -> Float32:
        """What the network itself answers where the step gives these logits (...,K)."""
        values = logits[..., 1:] - logits[..., :1] if self.form in ("odds", "chance") else logits
        if self.form == "probabilities" or self.closing == "Softmax":
            return np.asarray(np.exp(_log_softmax(values)), np.float32)
        if self.closing == "LogSoftmax":
            return _log_softmax(values)
        if self.form in ("chances", "chance") or self.closing == "Sigmoid":
            return np.asarray(1 / (1 + np.exp(-values)), np.float32)
        return values

    def undone(self, output: Float32) -> Float32:
        """Logits (...,K) from which the network's own answers follow."""
        if self.form in ("odds", "chance") and self.closing == "Sigmoid":
            return replace(self, form="chance", closing="").logits(output)
        if self.closing == "Sigmoid":
            return replace(self, form="chances", closing="").logits(output)
        if self.closing == "Softmax":
            return replace(self, form="probabilities", closing="").logits(output)
        return self.logits(output)

    def write(self, out: Nodes, values: str) -> str:
        """The nodes for ``logits``; ``values`` are rows (N,columns)."""
        floor = out.constant(np.array(TINY, np.float32))
        if self.form == "probabilities":
            return str(out.add("Log", out.add("Max", values, floor)))
        if self.form in ("chances", "chance"):
            rest = out.add("Sub", out.constant(np.ones((), np.float32)), values)
            logs = [out.add("Log", out.add("Max", side, floor)) for side in (values, rest)]
            values = out.add("Sub", *logs)
        if self.form in ("odds", "chance"):
            return str(out.add("Concat", out.add("Sub", values, values), values, axis=1))
        return values


def of(window: Window, nodes: list[NodeProto], output: str, kind: str = "", order: str = "") -> Answer:
    """What ``output`` means, by how it looks for random frames and by the operator that closes it.

    ``order`` names its axes, B, T and K (its columns), where that is known; by default the last is K.
    """
    if kind and kind not in KINDS:
        raise EdgeError(f"unknown meaning {kind!r} of the output; choose one of {', '.join(KINDS)}")
    makers = {name: node for node in nodes for name in node.output}
    closing, before = _closing(makers, output)
    values = _sample(window, output, order)
    bounded = _made_of_sigmoids(makers, output)
    return judged(values, closing, before if closing else output, output, kind, bounded)


def judged(
    values: Float32, closing: str, before: str, output: str, kind: str = "", bounded: bool = False
) -> Answer:
    """The answer in ``output`` with these ``values`` (rows,K), which the operator ``closing`` ends.

    ``before`` is the tensor that goes into that operator. ``bounded``: sigmoids alone decide its range, since
    logits may lie within 0..1 by chance.
    """
    if kind == "values" or (closing == "Tanh" and not kind):  # logits between -1 and 1 could not say much
        return Answer(output, "values")
    if kind == "sigmoid" and closing in ("Softmax", "LogSoftmax"):
        raise EdgeError(
            f"the output ends in a {closing}, so one label excludes the others; leave --meaning sigmoid out"
        )
    inside = bool(((values >= -1e-6) & (values <= 1 + 1e-6)).all())
    bounded = bounded and inside
    if values.shape[-1] == 1 and kind != "sigmoid":
        if closing == "Sigmoid":
            return Answer(before, form="odds", closing=closing)
        return Answer(output, form="chance" if bounded else "odds")
    if inside and np.allclose(values.sum(-1), 1, atol=1e-4) and kind != "sigmoid":
        return (
            Answer(before, closing=closing) if closing == "Softmax" else Answer(output, form="probabilities")
        )
    if closing == "LogSoftmax":
        return Answer(before, closing=closing)
    if closing == "Sigmoid":
        return Answer(before, kind or "sigmoid", closing=closing)
    if bounded and kind != "softmax":
        return Answer(output, "sigmoid", "chances")
    return Answer(output, kind or "softmax")


def of_step(values: Float32, step: ModelProto, kind: str = "") -> Answer:
    """What a step in PyTorch gives, by its values (rows,K) and how its export ``step`` ends."""
    makers = {name: node for node in step.graph.node for name in node.output}
    closing, _ = _closing(makers, output := step.graph.output[0].name)
    bounded = closing == "Sigmoid" or _made_of_sigmoids(makers, output)
    return judged(values, closing if closing == "Tanh" else "", "", "", kind, bounded)


def related(looks: Answer, step: Float32, network: Float32, tolerance: float, kind: str = "") -> Answer:
    """What a step in PyTorch gives, by comparing it with its network's answers (rows,K) to the same faces.

    ``looks`` is what it gives by itself, ``kind`` what the user says that it means. EdgeError if no rule
    leads from the one to the other.
    """
    choices = [looks, *(Answer("", _KIND_OF[closing], closing=closing) for closing in _KIND_OF)]
    if step.shape[-1] == 1 and kind != "sigmoid":
        choices = [looks, Answer("", form="odds", closing="Sigmoid")]
    if kind == "values":  # are what the network gives, not what a sigmoid makes of it
        choices = [looks]
    for answer in choices:
        expected = answer.output(answer.logits(step))
        if expected.shape == network.shape and np.abs(expected - network).max() <= tolerance:
            return replace(answer, kind=kind or answer.kind)
    apart = float(np.abs(step - network).max()) if step.shape == network.shape else float("inf")
    raise EdgeError(
        f"the parts differ from the whole network (max_abs {apart:.2g}), also behind a softmax or sigmoid; "
        "name the parts that it uses, or leave [parts] out"
    )


def _log_softmax(values: Float32) -> Float32:
    shifted = values - values.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)), np.float32)


def _closing(makers: dict[str, NodeProto], output: str) -> tuple[str, str]:
    """The operator that ends in ``output``, behind changes of shape, and its input; "" if it is another."""
    node = makers.get(output)
    while node is not None and node.op_type in _SHAPES:
        output, node = node.input[0], makers.get(node.input[0])
    known = node is not None and node.op_type in ("Softmax", "LogSoftmax", "Sigmoid", "Tanh")
    return (node.op_type, node.input[0]) if node is not None and known else ("", output)


def _made_of_sigmoids(makers: dict[str, NodeProto], output: str) -> bool:
    """Whether sigmoids are joined into ``output`` by sums, means, clipping and the like alone."""
    left, seen = [output], set()
    while left:
        node = makers.get(left.pop())
        if node is None or node.output[0] in seen or node.op_type in _WEIGHED:
            continue
        if node.op_type in ("Sigmoid", "HardSigmoid"):
            return True
        seen.add(node.output[0])
        left += node.input
    return False


def _sample(window: Window, output: str, order: str) -> Float32:
    """Values (rows,K) of an output for random windows."""
    rng, runner = np.random.default_rng(0), session(window.model, [output])
    rows = window.batch or 2
    sizes = {"B": rows, "T": -1}
    seen = []
    for _ in range(_FRAMES):
        frames = rng.standard_normal(window.shape(rows)).astype(np.float32)
        value = np.asarray(runner.run([output], {window.input: frames})[0], np.float32)
        if order.count("K") == 1 and order.count("T") <= 1:
            columns = value.size // rows // (window.steps if "T" in order else 1)
            value = np.moveaxis(
                value.reshape([{**sizes, "K": columns}[axis] for axis in order]), order.index("K"), -1
            )
        seen.append(value.reshape(-1, value.shape[-1] if value.ndim > 1 else 1))
    return np.concatenate(seen)
