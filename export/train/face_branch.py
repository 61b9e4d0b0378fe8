"""A small output on the features of a frozen encoder that tells whether a crop shows a face."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from edge.errors import EdgeError
from export.graph.nodes import attribute
from export.train.networks import CEILING, BoundedReLU, conv_bn

OUTPUT, _PREFIX = "face_logit", "face/"  # of what the branch adds to a graph
_BATCH = 256
_PEAK_LR, _WEIGHT_DECAY = 5e-3, 1e-3


class FaceBranch(nn.Module):
    """Features (N,C,H,W) to logits (N,1): two convolutions of stride 2 and one layer over all places."""

    def __init__(self, channels: int, side: int, widths: tuple[int, int] = (24, 48)) -> None:
        super().__init__()
        first, second = widths
        self.first, self.between = conv_bn(channels, first, 2), BoundedReLU()
        self.second, self.after = conv_bn(first, second, 2), BoundedReLU()
        self.dropout = nn.Dropout(0.3)
        places = (side + 3) // 4  # rounded up, as the padding does
        self.last = nn.Linear(second * places * places, 1)

    def forward(self, maps: Tensor) -> Tensor:
        x = self.after(self.second(self.between(self.first(maps))))
        logits: Tensor = self.last(self.dropout(x.flatten(1)))
        return logits


def train_branch(
    maps: npt.NDArray[np.float16], shown: npt.NDArray[np.bool_], epochs: int, seed: int
) -> FaceBranch:
    """A branch that tells for each row of ``maps`` (N,C,H,W) whether a face is ``shown`` (N,)."""
    torch.manual_seed(seed)
    branch = FaceBranch(maps.shape[1], maps.shape[2])
    features, wanted = torch.from_numpy(maps), torch.from_numpy(shown.astype(np.float32))[:, None]
    steps = -(-len(maps) // _BATCH)
    optimizer = torch.optim.AdamW(branch.parameters(), _PEAK_LR, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_LR, total_steps=epochs * steps)
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(maps)), _BATCH):
            loss = binary_cross_entropy_with_logits(branch(features[rows].float()), wanted[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return branch.eval()


def tap(model: ModelProto) -> str:
    """The tensor to take features from: what the last convolution of stride 2 reads.

    There a face still has places, and its features are not yet those of its expression alone. EdgeError
    without such a convolution.
    """
    strided = [n for n in model.graph.node if n.op_type == "Conv" and attribute(n, "strides", [1])[0] == 2]
    if not strided:
        raise EdgeError("the network has no convolution of stride 2, from whose input to tell a face")
    return str(strided[-1].input[0])


def with_branch(model: ModelProto, branch: FaceBranch) -> ModelProto:
    """A copy of the step ``model`` with the further output ``face_logit`` (N,1)."""
    made = ModelProto()
    made.CopyFrom(model)
    if any(value.name == OUTPUT for value in made.graph.output):
        raise EdgeError(f"the network has an output {OUTPUT!r} already; take it out first")
    made.graph.node.extend(_nodes(tap(model)))
    made.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in _weights(branch))
    made.graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", 1]))
    onnx.checker.check_model(made, full_check=True)
    return made


def without_branch(model: ModelProto) -> ModelProto:
    """A copy of the step ``model`` as it was before ``with_branch``."""
    made = ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    kept_outputs = [value for value in graph.output if value.name != OUTPUT]
    kept_nodes = [n for n in graph.node if n.output[0] != OUTPUT and not n.output[0].startswith(_PREFIX)]
    kept_weights = [tensor for tensor in graph.initializer if not tensor.name.startswith(_PREFIX)]
    for all_of, kept in (
        (graph.output, kept_outputs), (graph.node, kept_nodes), (graph.initializer, kept_weights),
    ):  # fmt: skip
        del all_of[:]
        all_of.extend(kept)
    return made


def _nodes(features: str) -> Iterator[NodeProto]:
    """Each by the name of what it gives."""

    def node(kind: str, inputs: list[str], output: str, **numbers: Any) -> NodeProto:
        return helper.make_node(kind, inputs, [output], output, **numbers)

    window = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    for layer in ("first", "second"):
        weights = [f"face/{layer}/weight", f"face/{layer}/bias"]
        yield node("Conv", [features, *weights], f"face/{layer}", **window)
        features = f"face/{layer}/relu"
        yield node("Clip", [f"face/{layer}", "face/zero", "face/ceiling"], features)
    yield node("Flatten", [features], "face/flat", axis=1)
    yield node("Gemm", ["face/flat", "face/last/weight", "face/last/bias"], OUTPUT, transB=1)


def _weights(branch: FaceBranch) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Every constant of the branch; batch norms are folded into their convolutions."""
    for name, layer in (("first", branch.first), ("second", branch.second)):
        conv, norm = layer
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
        yield f"face/{name}/weight", (conv.weight.detach() * gain[:, None, None, None]).numpy()
        yield f"face/{name}/bias", (norm.bias - norm.running_mean * gain).detach().numpy()
    yield "face/last/weight", branch.last.weight.detach().numpy()
    yield "face/last/bias", branch.last.bias.detach().numpy()
    yield "face/zero", np.array(0, np.float32)
    yield "face/ceiling", np.array(CEILING, np.float32)
