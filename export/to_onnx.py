"""A streaming step in PyTorch to one ONNX graph with named state tensors."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from edge.engines.ort import OrtEngine
from edge.errors import EdgeError

OPSET, IR_VERSION = 18, 10  # what JetPack 6 (ONNX Runtime for Python 3.10) can load
PARITY = 1e-4


def export_step(
    model: nn.Module, state: dict[str, tuple[int, ...]], face: tuple[int, ...], path: Path
) -> None:
    """Write ``model`` as ``step(face, *state) -> logits, *new_state`` with a free batch dimension.

    ``state`` maps each state input to the shape of one row; its output is called ``new_<input>``.
    ``face`` is the shape (C,S,S) of one crop. Batch norms are folded into their convolutions.
    """
    inputs = (torch.zeros(2, *face), *(torch.zeros(2, *shape) for shape in state.values()))
    batch = torch.export.Dim("N", min=1, max=1024)
    names = ["face", *state]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own deprecations
        program = torch.onnx.export(
            model.eval(),
            inputs,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=names,
            output_names=["logits", *(f"new_{name}" for name in state)],
            dynamic_shapes=tuple({0: batch} for _ in names),
        )
    assert program is not None
    graph = program.model_proto
    graph.ir_version = IR_VERSION
    # Metadata of the exporter holds stack traces with the paths of this machine.
    for node in (*graph.graph.node, *graph.graph.input, *graph.graph.output, *graph.graph.value_info):
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.metadata_props[:]
    del graph.graph.metadata_props[:]
    onnx.checker.check_model(graph, full_check=True)
    onnx.save_model(graph, str(path))


@torch.inference_mode()
def parity(model: nn.Module, path: Path, faces: np.ndarray) -> float:
    """Largest difference of logits or states, PyTorch against ONNX Runtime, over faces (T,N,C,S,S).

    Both roll their own states forward from zero. Raises EdgeError above 1e-4.
    """
    engine = OrtEngine(path)
    names = [name for name in engine.inputs if name != "face"]
    rows = faces.shape[1]
    zero = [np.zeros((rows, *(d or 1 for d in engine.inputs[n].shape[1:])), np.float32) for n in names]
    ours, theirs = list(zero), [torch.from_numpy(row.copy()) for row in zero]
    worst = 0.0
    for face in faces.astype(np.float32):
        out = list(engine.run(dict(zip(["face", *names], [face, *ours], strict=True))).values())
        expected = model(torch.from_numpy(face), *theirs)
        worst = max(worst, *(float(np.abs(a - b.numpy()).max()) for a, b in zip(out, expected, strict=True)))
        ours, theirs = out[1:], list(expected[1:])
    if not worst <= PARITY:
        raise EdgeError(
            f"{path} differs from PyTorch by {worst:.2g} over {len(faces)} steps, allowed {PARITY}"
        )
    return worst
