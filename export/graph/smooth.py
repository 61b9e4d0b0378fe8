"""The answers of single frames, averaged over the last ones: what memory such networks get."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import ModelProto, TensorProto, helper

from export.graph import meaning
from export.graph.cells import Nodes
from export.graph.meaning import Answer
from export.graph.reading import PREFIX
from export.graph.session import session
from export.graph.window import Window

MEAN = PREFIX + "/mean"  # no exporter gives such a name


def smoothed(window: Window, frames: int, output: str, kind: str) -> tuple[Window, str, Answer | None]:
    """The window to rewrite and its output to take, where ``frames`` answers are averaged; one needs no mean.

    The last value is what a single answer means, None where there is no mean.
    """
    if frames <= 1:
        return window, output, None
    whole, each = _averaged(window, output, kind)
    return whole, "", each


def _averaged(window: Window, output: str, kind: str) -> tuple[Window, Answer]:
    """The window with the mean of its frames' answers as first output, and what a single answer means.

    The mean is that of probabilities, of independent probabilities, or of values.
    """
    taken = window.output(output)
    answer = meaning.of(window, list(window.model.graph.node), taken, kind)
    shape = window.shape(window.batch or 2)
    values = session(window.model, [answer.tensor]).run(None, {window.input: np.zeros(shape, np.float32)})[0]
    columns = values.size // ((window.batch or 2) * window.steps)
    out = Nodes(MEAN)
    rows = out.add("Reshape", answer.tensor, out.constant(np.array([-1, columns], np.int64)))
    rows = answer.write(out, rows)
    closing = {"softmax": "Softmax", "sigmoid": "Sigmoid"}.get(answer.kind)
    rows = out.add(closing, rows) if closing else rows
    classes = answer.classes(columns)
    whole = out.add("Reshape", rows, out.constant(np.array([-1, window.steps, classes], np.int64)))
    out.alias(out.add("ReduceMean", whole, out.constant(np.array([1], np.int64)), keepdims=0), MEAN)
    model = ModelProto()
    model.CopyFrom(window.model)
    model.graph.node.extend(out.nodes)
    model.graph.initializer.extend(out.constants)
    others = [value for value in model.graph.output if value.name != taken]
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(MEAN, TensorProto.FLOAT, ["B", classes]))
    model.graph.output.extend(others)
    return replace(window, model=model), answer
