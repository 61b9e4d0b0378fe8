"""A step is run over one window beside the graph it was made of, before anybody is told that it streams."""

from __future__ import annotations

import numpy as np

from edge.errors import EdgeError, reason
from export.graph.session import session
from export.graph.step import Step
from export.graph.window import Window

_COARSE = 1e-2  # of an answer; a wrong rewriting is far off, the proof of a bundle is the fine measure

_WAY_OUT = "export it with the other exporter of PyTorch, or name [parts] that stream"


def check(window: Window, step: Step) -> None:
    """EdgeError unless ``step``, fed frame by frame, ends in the answer of ``window``.

    One row more runs through the step, so that no size of the window's batch is left in it.
    """
    rows = window.batch or 2
    shape = (rows, window.steps, window.channels, window.size, window.size)
    faces = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    whole = session(window.model, [step.source])
    expected = step.last(whole.run(None, {window.input: window.from_crops(faces)})[0], rows)
    runner, more = session(step.model), np.concatenate([faces, faces[:1]])
    values = {tensor.input: np.zeros((rows + 1, *tensor.shape), np.float32) for tensor in step.state}
    names = [value.name for value in step.model.graph.output]
    found = expected
    for at in range(window.steps):
        try:
            results = runner.run(None, {"face": np.ascontiguousarray(more[:, at]), **values})
        except Exception as error:  # ONNX Runtime has one class per status and no common base
            raise EdgeError(f"one step of the network does not run ({reason(error)}); {_WAY_OUT}") from error
        out = dict(zip(names, results, strict=True))
        values = {tensor.input: out[tensor.output] for tensor in step.state}
        found = out["logits"]
    same = np.concatenate([expected, expected[:1]])
    apart = np.abs(step.answer.output(found) - step.answer.output(same)).max()
    if not apart <= _COARSE * max(1.0, float(np.abs(step.answer.output(same)).max())):
        raise EdgeError(f"one step of the network differs from its window (max_abs {apart:.2g}); {_WAY_OUT}")
