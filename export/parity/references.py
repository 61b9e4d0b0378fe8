"""What a step is compared with: the window graph, the PyTorch network, or the step before its export."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import torch
from onnx import ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper
from torch import Tensor, nn

from edge.errors import EdgeError
from edge.protocols import Engine
from edge.system.ort_session import all_cores
from export.graph.meaning import Answer
from export.graph.nodes import attribute
from export.graph.rewrite import RECURRENT
from export.graph.session import session
from export.graph.step import Step
from export.graph.window import Window
from export.parity.proof import TOLERANCE, TRACKS, AnyFaces, Reference

Float32 = npt.NDArray[np.float32]
_PREFIX_BYTES = 1 << 24  # of faces at once; an encoder makes of them thirty times as much
WindowLogits = Callable[[Float32], Float32]
"""Faces (B,T,C,S,S) of one window -> logits (B,K)."""


def of_window(window: Window, step: Step, reset: str, logits: WindowLogits) -> Reference:
    """The window graph that ``step`` was made of, ``logits`` its answers to single windows."""
    if reset == "never" and step.chains:
        return chained(window, step)
    return at_window_ends(reset, window.steps, logits, once=not step.chains)


def window_logits(window: Window, step: Step) -> WindowLogits:
    """The original graph on windows (B,T,C,S,S), one by one where its batch is fixed."""
    runner, rows = session(window.model, [step.source], all_cores()), window.batch or 1

    def logits(faces: Float32) -> Float32:
        answers = []
        for face in faces:
            feeds = {window.input: np.ascontiguousarray(window.from_crops(np.stack([face] * rows)))}
            answers.append(step.last(runner.run(None, feeds)[0], rows)[0])
        return np.stack(answers)

    return logits


def kept_outputs(window: Window, step: Step, engine: Engine, faces: AnyFaces) -> float:
    """Largest difference of the outputs that ``step`` keeps, at the end of one window of each face.

    EdgeError above the tolerance, with the output's name.
    """
    rows, worst = _rows(faces), 0.0
    state = {t.input: np.zeros((len(rows), *t.shape), np.float32) for t in step.state}
    for at in range(window.steps):
        out = engine.run({"face": np.ascontiguousarray(faces[: len(rows), at]), **state})
        state = {t.input: out[t.output] for t in step.state}
    for name, kept in step.kept.items():
        runner, batch = session(window.model, [kept.tensor], all_cores()), window.batch or 1
        for row in rows:
            seen = np.repeat(faces[row : row + 1, : window.steps], batch, axis=0)
            values = runner.run(None, {window.input: np.ascontiguousarray(window.from_crops(seen))})[0]
            far = float(np.abs(kept.last(values, batch)[0] - out[name][row]).max())
            if not far <= TOLERANCE:
                raise EdgeError(
                    f"the output {name!r} differs from its original by {far:.2g}; leave --keep out"
                )
            worst = max(worst, far)
    return worst


def _rows(faces: AnyFaces) -> range:
    return range(min(len(faces), TRACKS))


def at_window_ends(reset: str, steps: int, logits: WindowLogits, once: bool = False) -> Reference:
    """``logits`` at the steps at which a resetting stream has seen exactly one window.

    ``once``: only at the first of them.
    """

    def reference(faces: AnyFaces, long: int) -> tuple[list[int], Float32]:
        offsets = {0, steps // 2} if reset == "two-phase" else {0}
        ends = [end for end in range(steps, long + 1) if end % steps in offsets][: 1 if once else None]
        rows = [[logits(faces[row : row + 1, end - steps : end])[0] for end in ends] for row in _rows(faces)]
        return [end - 1 for end in ends], np.array(rows)

    return reference


def chained(window: Window, step: Step) -> Reference:
    """The window's own GRU and LSTM operators, window after window, their states carried over."""
    model, initial = _with_states(window, step.source)
    runner, rows = session(model, threads=all_cores()), window.batch or 1

    def reference(faces: AnyFaces, long: int) -> tuple[list[int], Float32]:
        ends = range(window.steps, long + 1, window.steps)
        answers = np.empty((len(_rows(faces)), len(ends), step.classes), np.float32)
        for row in _rows(faces):
            now = dict(initial)
            for place, end in enumerate(ends):
                part = np.stack([faces[row, end - window.steps : end]] * rows)
                feeds = {window.input: np.ascontiguousarray(window.from_crops(part)), **now}
                logits, *new = runner.run(None, feeds)
                now = dict(zip(now, new, strict=True))
                answers[row, place] = step.last(logits, rows)[0]
        return [end - 1 for end in ends], answers

    return reference


def _with_states(window: Window, logits: str) -> tuple[ModelProto, dict[str, Float32]]:
    """A copy whose recurrent operators take and give their states, and where these begin (1,B,H)."""
    rows = window.batch or 1
    given = _initial(window, rows)
    model = ModelProto()
    model.CopyFrom(window.model)
    initial: dict[str, Float32] = {}
    outputs = [logits]
    for number, node in enumerate(node for node in model.graph.node if node.op_type in RECURRENT):
        shape = (1, rows, attribute(node, "hidden_size"))
        for letter, place, output in (("h", 5, 1), ("c", 6, 2))[: 1 if node.op_type == "GRU" else 2]:
            name = f"chain_{letter}{number}"
            at = node.input[place] if len(node.input) > place else ""
            initial[name] = given.get(at, np.zeros(shape, np.float32))
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


def _initial(window: Window, rows: int) -> dict[str, Float32]:
    """Where the recurrent operators of the window begin, by the name of the tensor."""
    graph = window.model.graph
    nodes = [node for node in graph.node if node.op_type in RECURRENT]
    names = {name for node in nodes for name in node.input[5:7] if name}
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer if t.name in names}
    if computed := sorted(names - values.keys()):
        feeds = {window.input: np.zeros(window.shape(rows), np.float32)}
        found = session(window.model, computed).run(None, feeds)
        # Copies: an array of ONNX Runtime's keeps the memory of its whole session.
        values |= {name: value.copy() for name, value in zip(computed, found, strict=True)}
    return values


def unroll(step: nn.Module, inputs: Tensor) -> Tensor:
    """Logits (M,T,K) of a step in PyTorch over ``inputs`` (M,T,...) from the zero state."""
    return _unroll(step, inputs.unbind(1), len(inputs))


def _unroll(step: nn.Module, steps: Iterable[Tensor], rows: int) -> Tensor:
    shapes: dict[str, tuple[int, ...]] = step.state  # type: ignore[assignment]
    state = [torch.zeros(rows, *shape) for shape in shapes.values()]
    logits = []
    for now in steps:
        out, *state = step(now, *state)[: 1 + len(state)]
        logits.append(out)
    return torch.stack(logits, 1)


def every_step(step: nn.Module) -> Reference:
    """A step in PyTorch: an answer at every step."""

    @torch.inference_mode()
    def reference(faces: AnyFaces, long: int) -> tuple[list[int], Float32]:
        rows = _rows(faces)[:4]  # PyTorch takes ten times as long as ONNX Runtime for a face
        seen = (torch.from_numpy(np.ascontiguousarray(faces[: len(rows), at])) for at in range(long))
        return list(range(long)), _unroll(step, seen, len(rows)).numpy()

    return reference


def prefixes(model: nn.Module, steps: int) -> Reference:
    """A window network in PyTorch on all that was seen up to some steps."""

    def reference(faces: AnyFaces, long: int) -> tuple[list[int], Float32]:
        face_bytes = 4 * int(np.prod(faces.shape[2:]))
        longest = min(long, max(4 * steps, _PREFIX_BYTES // face_bytes))
        ends = sorted({1, 2, steps, 4 * steps, longest} & set(range(1, longest + 1)))
        rows = [[torch_logits(model, faces[row : row + 1, :end])[0] for end in ends] for row in _rows(faces)]
        return [end - 1 for end in ends], np.array(rows)

    return reference


@torch.inference_mode()
def torch_logits(model: nn.Module, faces: Float32) -> Float32:
    """Output (B,K) of a window network in PyTorch for frames in its own order of axes."""
    out: Float32 = model(torch.from_numpy(np.ascontiguousarray(faces))).numpy()
    return out


def against_torch(
    model: nn.Module, logits: WindowLogits, answer: Answer, faces: AnyFaces, window: Window
) -> float:
    """Largest difference between what a network answers and what follows from the logits of its export.

    EdgeError above the tolerance.
    """
    ours, theirs = [], []
    # One by one: what a network of 224 pixels makes of 16 windows takes gigabytes.
    for row in range(len(faces)):
        face = faces[row : row + 1, : window.steps]
        ours.append(answer.output(logits(face)))
        theirs.append(torch_logits(model, np.repeat(face, window.batch or 1, axis=0))[:1])
    found, expected = np.concatenate(ours), np.concatenate(theirs)
    worst = float(np.abs(found - expected).max())
    if not worst <= TOLERANCE:
        raise EdgeError(f"the export differs from PyTorch by {worst:.2g}, allowed {TOLERANCE:g}")
    return worst
