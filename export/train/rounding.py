"""Training a network for the rounding that INT8 will do to it.

Noise is enough where the network has a ceiling and enough bits. Where quantizing afterwards still loses too
much, a few epochs with the rounding itself in the graph let the weights adapt; gradients pass through it
unchanged (Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference, CVPR 2018). Weights are rounded per output channel as they will be: the batch norm that is folded
into them later scales a channel as a whole, so their grid stays the same.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from export.train.networks import CEILING, BoundedReLU, Conv


def add_rounding_noise(model: nn.Module) -> None:
    """From now on, train ``model`` with uniform noise of one 8-bit step on every activation."""
    for module in model.modules():
        if isinstance(module, BoundedReLU):
            module.rounding = _noise


def round_in_training(model: nn.Module, bits: int = 8) -> None:
    """From now on, round every weight, and in training every activation, to ``bits`` (symmetric).

    Of the two INT8 dialects the symmetric one has the coarser activations; what adapts to it fits both.
    """
    levels = 2 ** (bits - 1) - 1
    for module in model.modules():
        if isinstance(module, BoundedReLU):
            module.rounding = partial(_round_activation, levels=levels)
        elif isinstance(module, Conv):
            module.rounding = partial(_round_weight, levels=levels)


@torch.no_grad()
def keep_rounded(model: nn.Module) -> None:
    """Make the rounded weights the weights of ``model`` and leave the rounding out of its graph again."""
    for module in model.modules():
        if isinstance(module, Conv) and module.rounding:
            module.weight.copy_(module.rounding(module.weight))
        if isinstance(module, (Conv, BoundedReLU)):
            module.rounding = None


def _noise(y: Tensor) -> Tensor:
    return y + (torch.rand_like(y) - 0.5) * (CEILING / 255)


def _round_activation(y: Tensor, levels: int) -> Tensor:
    y = y.float()
    step = (y.detach().amax() / levels).clamp(min=1e-8)
    zero = torch.zeros(1, dtype=torch.int32, device=y.device)
    return torch.fake_quantize_per_tensor_affine(y, step, zero, 0, levels)


def _round_weight(weight: Tensor, levels: int) -> Tensor:
    step = (weight.detach().abs().amax(dim=(1, 2, 3)) / levels).clamp(min=1e-8)
    zero = torch.zeros(len(step), dtype=torch.int32, device=step.device)
    return torch.fake_quantize_per_channel_affine(weight, step, zero, 0, -levels, levels)
