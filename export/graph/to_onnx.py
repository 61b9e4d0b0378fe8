"""A streaming step in PyTorch to one ONNX graph with named state tensors."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from edge.bundle import StateTensor
from edge.errors import EdgeError
from export.graph.reading import IR_VERSION, OPSET


def export_step(model: nn.Module, state: Sequence[StateTensor], face: tuple[int, ...], path: Path) -> None:
    """Write ``model`` as ``step(face, *state) -> logits, *new_state`` with a free batch dimension.

    ``face`` is the shape (C,S,S) of one crop. Batch norms are folded into their convolutions. Outputs that
    ``model.extra`` names come last.
    """
    inputs = (torch.zeros(2, *face), *(torch.zeros(2, *tensor.shape) for tensor in state))
    outputs = ["logits", *(tensor.output for tensor in state), *getattr(model, "extra", {})]
    graph = to_onnx(model, inputs, ["face", *(tensor.input for tensor in state)], outputs)
    # The exporter's metadata holds stack traces with the paths of this machine.
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
    log.setLevel(logging.ERROR)  # the exporter warns that torchvision is missing, which is not needed
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # of its own deprecations
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
