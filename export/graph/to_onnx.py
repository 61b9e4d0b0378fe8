"""A streaming step in PyTorch to one ONNX graph with named state tensors."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from edge.errors import EdgeError
from export.graph.window import IR_VERSION, OPSET
from export.parity.proof import Reference


def export_step(
    model: nn.Module, state: dict[str, tuple[int, ...]], face: tuple[int, ...], path: Path
) -> None:
    """Write ``model`` as ``step(face, *state) -> logits, *new_state`` with a free batch dimension.

    ``state`` maps each state input to the shape of one row; its output is called ``new_<input>``.
    ``face`` is the shape (C,S,S) of one crop. Batch norms are folded into their convolutions. Outputs that
    ``model.extra`` names come last.
    """
    inputs = (torch.zeros(2, *face), *(torch.zeros(2, *shape) for shape in state.values()))
    outputs = ["logits", *(f"new_{name}" for name in state), *getattr(model, "extra", {})]
    graph = to_onnx(model, inputs, ["face", *state], outputs)
    # Metadata of the exporter holds stack traces with the paths of this machine.
    for node in (*graph.graph.node, *graph.graph.input, *graph.graph.output, *graph.graph.value_info):
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.metadata_props[:]
    del graph.graph.metadata_props[:]
    onnx.checker.check_model(graph, full_check=True)
    onnx.save_model(graph, str(path))


def to_onnx(
    model: nn.Module, inputs: tuple[torch.Tensor, ...], names: list[str], outputs: list[str]
) -> onnx.ModelProto:
    """``model`` in ONNX with a free first dimension; EdgeError where PyTorch cannot export it."""
    batch = {0: torch.export.Dim("N", min=1, max=1024)}
    _, *rest = signature(model.forward).parameters.values()
    if rest and rest[0].kind is rest[0].VAR_POSITIONAL:
        shapes: Any = (batch, tuple(batch for _ in inputs[1:])) if inputs[1:] else (batch,)
    else:
        shapes = tuple(batch for _ in inputs)
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # the exporter tells that it has no torchvision, which nobody asked for
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # and warns about its own deprecations
            program = torch.onnx.export(
                model.eval(),
                inputs,
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=names,
                output_names=outputs,
                dynamic_shapes=shapes,
            )
    except Exception as error:  # the exporter's errors have no common base
        cause = error.__cause__ or error
        raise EdgeError(
            f"PyTorch cannot export the network ({str(cause).splitlines()[0][:200]}); "
            "name its parts under [parts] in --config"
        ) from error
    finally:
        log.setLevel(level)
    assert program is not None
    graph = program.model_proto
    graph.ir_version = IR_VERSION
    return graph


def rolled(model: nn.Module, state: dict[str, tuple[int, ...]]) -> Reference:
    """A step module in PyTorch as a reference for ``prove``: an answer at every step."""

    @torch.inference_mode()
    def reference(faces: npt.NDArray[np.float32]) -> tuple[list[int], npt.NDArray[np.float32]]:
        now = [torch.zeros(len(faces), *shape) for shape in state.values()]
        rows = []
        for face in torch.from_numpy(np.ascontiguousarray(faces)).unbind(1):
            logits, *now = model(face, *now)[: 1 + len(state)]
            rows.append(logits.numpy())
        return list(range(faces.shape[1])), np.stack(rows, axis=1)

    return reference
