"""The reference family of networks: a frame encoder and a recurrent head that steps once per frame.

Only plain convolutions, ReLU and global average pooling: for these operators every INT8 kernel set is fast.
Depthwise convolutions, squeeze-excite and hard-swish lose more than they save.

Two habits make the network easy to quantize. Its input is rounded to an 8-bit grid in every precision, so
that INT8 sees exactly the face that float sees. Its ReLUs have a ceiling (Krizhevsky, Convolutional Deep
Belief Networks on CIFAR-10, 2010), because without one a few large activations set the step for all.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import hardtanh

from export.data.ferplus import LABELS
from export.train.encoders import parse
from export.train.heads import FAMILIES

FACE = 48  # side of a crop in pixels
INPUT_STEP = 0.025  # of the standardized face; 127 steps each way reach 3.175 standard deviations
CEILING = 4.0
Rounding = Callable[[Tensor], Tensor] | None  # export/train/rounding.py


class BoundedReLU(nn.Module):
    """``min(max(x, 0), CEILING)``, and in training what ``rounding`` makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.rounding: Rounding = None

    def forward(self, x: Tensor) -> Tensor:
        y = hardtanh(x, 0.0, CEILING)
        return self.rounding(y) if self.rounding and self.training else y


class Conv(nn.Conv2d):
    """A convolution whose weights go through ``rounding`` where there is one."""

    rounding: Rounding = None

    def forward(self, x: Tensor) -> Tensor:
        weight = self.rounding(self.weight) if self.rounding else self.weight
        return self._conv_forward(x, weight, self.bias)


def to_grid(face: Tensor) -> Tensor:
    """Round to multiples of INPUT_STEP within 127 steps of zero."""
    return hardtanh(torch.round(face / INPUT_STEP), -127.0, 127.0) * INPUT_STEP


def conv_bn(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution and batch norm; the exporter folds the norm into the convolution."""
    return nn.Sequential(
        Conv(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)
    )


class PlainBlock(nn.Module):
    """Two 3x3 convolutions without a skip (VGG)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first, self.between = conv_bn(inputs, outputs, stride), BoundedReLU()
        self.second, self.after = conv_bn(outputs, outputs), BoundedReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.after(self.second(self.between(self.first(x))))
        return y


class ResidualBlock(nn.Module):
    """Basic residual block; He et al., Deep Residual Learning for Image Recognition, CVPR 2016."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first, self.between = conv_bn(inputs, outputs, stride), BoundedReLU()
        self.second, self.after = conv_bn(outputs, outputs), BoundedReLU()
        same = stride == 1 and inputs == outputs
        self.skip = nn.Identity() if same else conv_bn(inputs, outputs, stride, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.after(self.second(self.between(self.first(x))) + self.skip(x))
        return y


class SingleBlock(nn.Sequential):
    """One 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(conv_bn(inputs, outputs, stride), BoundedReLU())


BLOCKS = {"single": SingleBlock, "plain": PlainBlock, "residual": ResidualBlock}


class FrameEncoder(nn.Module):
    """A face ``(N,1,48,48)`` float32, standardized, to features ``(N,features)``.

    ``text`` names or describes it, see ``export.train.encoders``.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        spec = parse(text, FACE)
        self.unshuffle = nn.PixelUnshuffle(spec.unshuffle) if spec.unshuffle > 1 else nn.Identity()
        width = spec.channels
        layers: list[nn.Module] = [
            conv_bn(spec.unshuffle**2, width, spec.stride, spec.kernel),
            BoundedReLU(),
        ]
        for block in spec.blocks:
            layers.append(BLOCKS[block.kind](width, block.channels, block.stride))
            width = block.channels
        self.layers = nn.Sequential(*layers)
        self.features, self.side = width, spec.side(FACE)

    def maps(self, face: Tensor) -> Tensor:
        """Features per place ``(N,features,side,side)``."""
        x: Tensor = self.layers(self.unshuffle(to_grid(face)))
        return x

    def forward(self, face: Tensor) -> Tensor:
        return self.maps(face).mean(dim=(2, 3))


class FrameClassifier(nn.Module):
    """A frame encoder with a linear head: ``(N,1,48,48)`` to logits ``(N,K)``."""

    def __init__(self, encoder: str, classes: int = len(LABELS), dropout: float = 0.3) -> None:
        super().__init__()
        self.encoder = FrameEncoder(encoder)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.encoder.features, classes)

    def forward(self, face: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(self.encoder(face)))
        return logits


class StreamingNetwork(nn.Module):
    """One streaming step of a family: a frame encoder and a head that keeps what it has seen in its state.

    ``forward(face (N,1,48,48), *state)`` gives ``logits (N,K)``, the new states, and what the family
    explains itself with (``extra``: names of further outputs).
    """

    def __init__(self, encoder: str, family: str, hidden: int = 96, classes: int = len(LABELS)) -> None:
        super().__init__()
        self.encoder = FrameEncoder(encoder)
        self.head = FAMILIES[family](self.encoder.features, hidden, classes)
        self.state: dict[str, tuple[int, ...]] = self.head.state  # type: ignore[assignment]
        side = self.encoder.side
        self.extra = {"attention": (side, side)} if self.head.wants_maps else {}

    def features(self, face: Tensor) -> Tensor:
        """What the head takes: pooled (N,F), or per place (N,F,side,side) where it looks at places."""
        features: Tensor = self.encoder.maps(face) if self.head.wants_maps else self.encoder(face)
        return features

    def forward(self, face: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        outputs: tuple[Tensor, ...] = self.head(self.features(face), *state)
        return outputs
