"""Encoders as short texts: ``s2 32 | 64,64 | 128,128``.

A text is a stem and stages of convolutions, 3x3 unless said:

- the first number is the stem's channels. ``s2`` before it is its stride, ``k5`` its kernel, ``s2k5`` both;
  ``s2d4`` is no stride: it turns each square of 4x4 pixels into 16 channels first (pixel unshuffle)
- ``|`` halves the map: the convolution after it has stride 2
- ``64`` is a convolution with batch norm and ReLU; two equal ones in a row, ``64,64``, make a plain block
- ``+64`` is a residual block of two convolutions
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge.errors import EdgeError

NAMED = {
    "plain-s": "32 | 32,32 | 64,64 | 128,128 | 256,256",
    "plain-m": "32 | 48,48 | 96,96 | 192,192",  # ships
    "residual-s": "32 | +32 | +64 | +128 | +256",
    "residual-m": "32 | +48 | +96 | +192",
    "residual-l": "32 | +48,+48 | +96,+96 | +192,+192",
    "plain-strided": "s2k5 32, 48,48 | 96,96 | 192,192",
    "residual-deep": "s2k5 24, +32,+32 | +64,+64 | +128,+128",
}
_CHANNELS = r"[1-9][0-9]{0,3}"
_TEXT = re.compile(
    r"(?:(?:s2d(?P<unshuffle>[2346])|s(?P<stride>[124]))?(?:k(?P<kernel>[1357]))? )?"
    rf"(?P<channels>{_CHANNELS})(?P<blocks>(?:[,|]\+?{_CHANNELS})*)"
)


@dataclass(frozen=True)
class Block:
    """``kind`` is single, plain or residual; ``stride`` that of its first convolution."""

    kind: str
    channels: int
    stride: int


@dataclass(frozen=True)
class EncoderSpec:
    """Pixel unshuffle (1 = none), the stem's channels, kernel and stride, and the blocks after it."""

    unshuffle: int
    channels: int
    kernel: int
    stride: int
    blocks: tuple[Block, ...]

    def side(self, face: int) -> int:
        """Side of the last map of a face of ``face`` pixels."""
        side = face // self.unshuffle
        for stride in (self.stride, *(block.stride for block in self.blocks)):
            side = -(-side // stride)
        return side


def parse(text: str, face: int = 48) -> EncoderSpec:
    """The encoder that ``text`` names or describes, for faces of ``face`` pixels; EdgeError where neither."""
    found = _TEXT.fullmatch(re.sub(r"\s*([,|])\s*", r"\1", NAMED.get(text, text).strip()))
    if not found:
        raise EdgeError(
            f"unknown encoder {text!r}; choose from {', '.join(NAMED)}, "
            "or write one like 's2 32 | 64,64 | 128,128'"
        )
    unshuffle, stride, kernel, channels = (
        int(found[name] or default)
        for name, default in (("unshuffle", 1), ("stride", 1), ("kernel", 3), ("channels", 0))
    )
    first, *others = found["blocks"].split("|")
    blocks = [*_blocks(first, 1), *(block for stage in others for block in _blocks(stage, 2))]
    if 2 ** len(others) * unshuffle * stride > face:
        raise EdgeError(f"encoder {text!r} halves a face of {face} pixels too often; leave out a '|'")
    return EncoderSpec(unshuffle, channels, kernel, stride, tuple(blocks))


def folder_name(text: str) -> str:
    """``text`` without what a file system or a shell takes for its own."""
    return re.sub(r"[^a-z0-9+]+", "-", text.lower()).strip("-")


def _blocks(stage: str, stride: int) -> list[Block]:
    """Blocks of one stage, such as ``64,64``; its first convolution has ``stride``."""
    blocks: list[Block] = []
    words = stage.removeprefix(",").split(",") if stage else []
    while words:
        word = words.pop(0)
        kind, channels = "residual" if word.startswith("+") else "single", int(word)
        if kind == "single" and words[:1] == [word]:
            kind = "plain"
            words.pop(0)
        blocks.append(Block(kind, channels, 1 if blocks else stride))
    return blocks
