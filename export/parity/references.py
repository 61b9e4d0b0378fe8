"""What a step is compared with: the window graph, the PyTorch network, or the step before its export."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from onnx import ModelProto, TensorProto, ValueInfoProto, helper
from torch import Tensor, nn

from edge.errors import EdgeError
from export.graph import window as window_graph
from export.graph.axes import attribute
from export.graph.rewrite import RECURRENT, Step
from export.graph.window import Window
from export.parity.proof import TOLERANCE, Reference

Float32 = npt.NDArray[np.float32]
WindowLogits = Callable[[Float32], Float32]
"""Faces (B,T,C,S,S) of one window -> logits (B,K)."""


def of_window(window: Window, step: Step, reset: str, logits: WindowLogits) -> Reference:
    """The window graph that ``step`` was made of, ``logits`` its answers to single windows."""
    return chained(window, step) if reset == "never" else at_window_ends(reset, window.steps, logits)


def window_logits(window: Window, step: Step) -> WindowLogits:
    """The original graph on windows (B,T,C,S,S), one by one where its batch is fixed."""
    session, rows = window_graph.session(window.model, [step.source]), window.batch or 1

    def logits(faces: Float32) -> Float32:
        answers = []
        for face in faces:
            feeds = {window.input: np.ascontiguousarray(window.from_crops(np.stack([face] * rows)))}
            answers.append(step.last(session.run(None, feeds)[0], rows)[0])
        return np.stack(answers)

    return logits


def at_window_ends(reset: str, steps: int, logits: WindowLogits) -> Reference:
    """``logits`` at the steps at which a resetting stream has seen exactly one window."""

    def reference(faces: Float32) -> tuple[list[int], Float32]:
        offsets = {0, steps // 2} if reset == "two-phase" else {0}
        ends = [end for end in range(steps, faces.shape[1] + 1) if end % steps in offsets]
        answers = [logits(faces[:, end - steps : end]) for end in ends]
        return [end - 1 for end in ends], np.stack(answers, axis=1)

    return reference


def chained(window: Window, step: Step) -> Reference:
    """The window's own GRU and LSTM operators, window after window, their states carried over."""
    model, initial = _with_states(window, step.source)
    session, rows = window_graph.session(model), window.batch or 1

    def reference(faces: Float32) -> tuple[list[int], Float32]:
        ends = range(window.steps, faces.shape[1] + 1, window.steps)
        answers = np.empty((len(faces), len(ends), step.classes), np.float32)
        for row, face in enumerate(faces):
            now = dict(initial)
            for place, end in enumerate(ends):
                part = np.stack([face[end - window.steps : end]] * rows)
                feeds = {window.input: np.ascontiguousarray(window.from_crops(part)), **now}
                logits, *new = session.run(None, feeds)
                now = dict(zip(now, new, strict=True))
                answers[row, place] = step.last(logits, rows)[0]
        return [end - 1 for end in ends], answers

    return reference


def _with_states(window: Window, logits: str) -> tuple[ModelProto, dict[str, Float32]]:
    """A copy whose recurrent operators take and give their states, and where these begin (1,B,H)."""
    rows = window.batch or 1
    values = window_graph.run_all(window, np.zeros(window.shape(rows), np.float32))
    model = ModelProto()
    model.CopyFrom(window.model)
    initial: dict[str, Float32] = {}
    outputs = [logits]
    for number, node in enumerate(node for node in model.graph.node if node.op_type in RECURRENT):
        shape = (1, rows, attribute(node, "hidden_size"))
        for letter, place, output in (("h", 5, 1), ("c", 6, 2))[: 1 if node.op_type == "GRU" else 2]:
            name = f"chain_{letter}{number}"
            given = len(node.input) > place and node.input[place]
            initial[name] = values[node.input[place]] if given else np.zeros(shape, np.float32)
            node.input.extend([""] * (place + 1 - len(node.input)))
            node.output.extend([""] * (output + 1 - len(node.output)))
            node.input[place] = name
            node.output[output] = node.output[output] or f"{name}_out"
            outputs.append(node.output[output])
    del model.graph.output[:]
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in initial.items()]
    model.graph.input.extend(infos)
    model.graph.output.extend(ValueInfoProto(name=name) for name in outputs)
    return model, initial


def unroll(step: nn.Module, inputs: Tensor) -> Tensor:
    """Logits (M,T,K) of a step in PyTorch over ``inputs`` (M,T,...) from the zero state."""
    shapes: dict[str, tuple[int, ...]] = step.state  # type: ignore[assignment]
    state = [torch.zeros(len(inputs), *shape) for shape in shapes.values()]
    logits = []
    for now in inputs.unbind(1):
        out, *state = step(now, *state)[: 1 + len(state)]
        logits.append(out)
    return torch.stack(logits, 1)


def every_step(step: nn.Module) -> Reference:
    """A step in PyTorch: an answer at every step."""

    @torch.inference_mode()
    def reference(faces: Float32) -> tuple[list[int], Float32]:
        return list(range(faces.shape[1])), unroll(step, torch.from_numpy(faces)).numpy()

    return reference


def prefixes(model: nn.Module, steps: int) -> Reference:
    """A window network in PyTorch on all that was seen up to some steps."""

    def reference(faces: Float32) -> tuple[list[int], Float32]:
        ends = sorted({1, 2, steps, 4 * steps, faces.shape[1]} & set(range(1, faces.shape[1] + 1)))
        answers = [torch_logits(model, faces[:, :end]) for end in ends]
        return [end - 1 for end in ends], np.stack(answers, axis=1)

    return reference


@torch.inference_mode()
def torch_logits(model: nn.Module, faces: Float32) -> Float32:
    """Output (B,K) of a window network in PyTorch for faces (B,T,C,S,S)."""
    out: Float32 = model(torch.from_numpy(np.ascontiguousarray(faces))).numpy()
    return out


def against_torch(model: nn.Module, logits: WindowLogits, faces: Float32) -> float:
    """Largest difference between an exported window and its network; EdgeError above the tolerance."""
    answer, expected = logits(faces), torch_logits(model, faces)
    if np.allclose(expected.sum(-1), 1, atol=1e-4):  # it ends in a softmax, which the step leaves out
        powers = np.exp(answer - answer.max(-1, keepdims=True))
        answer = powers / powers.sum(-1, keepdims=True)
    worst = float(np.abs(answer - expected).max())
    if not worst <= TOLERANCE:
        raise EdgeError(f"the export differs from PyTorch by {worst:.2g}, allowed {TOLERANCE:g}")
    return worst
